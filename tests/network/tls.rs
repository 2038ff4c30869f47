//! TLS: whom a request believes.

use crate::server::{Server, answer, head};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair};
use rex_tests::{Daemon, Settings, is_root, put_in_place_of, skip, with_private_mounts};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, Stream};
use std::path::Path;
use std::sync::Arc;

/// The bundle of certificates that a Debian trusts.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A server whose certificate is for this name, signed by an authority; and the authority's own certificate.
fn server(name: &str) -> (Server, String) {
    let mut authority = CertificateParams::new(Vec::new()).expect("an authority");
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let issuer: &Issuer<'_, KeyPair> = &authority;
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).expect("a name").signed_by(&key, issuer).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a configuration");
    let config = Arc::new(config);
    let server = Server::raw("127.0.0.1", move |socket| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
        let mut stream = Stream::new(&mut connection, socket);
        if !head(&mut stream).is_empty() {
            answer(&mut stream, "over TLS");
        }
    });
    (server, authority.pem())
}

#[test]
fn only_those_are_believed_whom_the_system_trusts() {
    if !is_root() {
        return skip("only root gives this machine other certificates");
    }
    if !Path::new(BUNDLE).is_file() {
        return skip("this machine has no bundle of certificates to put another in place of");
    }
    let (own, trusted) = server("localhost");
    let (other, _) = server("localhost");
    let (misnamed, also_trusted) = server("other.example");
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = folder.path().join("bundle");
    std::fs::write(&bundle, format!("{trusted}{also_trusted}")).expect("a file");
    with_private_mounts(|| {
        put_in_place_of(&Path::new(BUNDLE).canonicalize().expect("a file"), &bundle);
        let daemon = Daemon::start(&Settings::default());
        let ask =
            |host: &str, server: &Server| daemon.run(&format!("curl(\"https://{host}:{}/\").text", server.port()));
        let ran = ask("localhost", &own);
        assert_eq!(ran.output(), "over TLS", "{}", ran.stdout);
        for (host, server) in [("localhost", &other), ("localhost", &misnamed), ("127.0.0.1", &own)] {
            let ran = ask(host, server);
            assert!(ran.error().contains("Failed to send a request"), "{host}: {}", ran.stdout);
        }
    });
}
