//! Chains of X.509 certificates.

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};

/// Confirms that a server's certificate is good at a time, in seconds since 1970: that a chain leads from it to the trusted
/// root, and that it may be a TLS server's. No revocation is looked for, and no host name.
///
/// All come as PEM. The first certificate of `server` is the server's, the rest may be on the chain, as may all of
/// `intermediates`; the first of `root` is trusted.
pub fn verify(server: &[u8], root: &[u8], intermediates: &[Vec<u8>], now: u64) -> Result<(), Fault> {
    let server = certificates(server)?;
    let (end_entity, rest) = server.split_first().ok_or(Fault::NoServer)?;
    let root = certificates(root)?;
    let root = root.first().ok_or(Fault::NoRoot)?;
    let mut between = rest.to_vec();
    for file in intermediates {
        between.extend(certificates(file)?);
    }
    let end_entity = EndEntityCert::try_from(end_entity).map_err(|error| Fault::Server(name(&error)))?;
    let anchor = anchor_from_trusted_cert(root).map_err(|error| Fault::Root(name(&error)))?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let usage = KeyUsage::server_auth();
    end_entity
        .verify_for_usage(ALL_VERIFICATION_ALGS, &[anchor], &between, now, usage, None, None)
        .map_err(|error| Fault::Chain(reason(&error)))?;
    Ok(())
}

/// Why a certificate is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The server's file holds none.
    #[error("Certificate parse error: No certificates found in server certificate file")]
    NoServer,
    /// The root's file holds none.
    #[error("Certificate parse error: No certificates found in root CA file")]
    NoRoot,
    /// A file is no PEM.
    #[error("Certificate parse error: Failed to parse PEM certificates: {0}")]
    Pem(String),
    /// The server's is no certificate.
    #[error("Certificate parse error: Failed to parse end-entity certificate: {0}")]
    Server(String),
    /// The root's is none that could be trusted.
    #[error("Certificate parse error: Failed to parse root certificate as trust anchor: {0}")]
    Root(String),
    /// No chain is good.
    #[error("Certificate verification error: Certificate chain verification failed: {0}")]
    Chain(String),
}

fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(file) {
        match certificate {
            Ok(certificate) => certificates.push(certificate),
            Err(pem::Error::NoItemsFound) => break,
            Err(error) => return Err(Fault::Pem(malformed(&error))),
        }
    }
    Ok(certificates)
}

/// Why a text is no PEM. The library's own words show bytes as numbers.
fn malformed(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("missing section end marker: {}", String::from_utf8_lossy(end_marker).trim_end())
        }
        pem::Error::IllegalSectionStart { line } => {
            format!("illegal section start: {}", String::from_utf8_lossy(line).trim_end())
        }
        error => error.to_string(),
    }
}

/// Why a chain is not good: the name of the error, and the times it is about.
fn reason(error: &Error) -> String {
    match error {
        Error::CertExpired { time, not_after } => {
            format!("CertExpired {{ time: {}, not_after: {} }}", time.as_secs(), not_after.as_secs())
        }
        Error::CertNotValidYet { time, not_before } => {
            format!("CertNotValidYet {{ time: {}, not_before: {} }}", time.as_secs(), not_before.as_secs())
        }
        Error::RequiredEkuNotFoundContext(_) => "RequiredEkuNotFoundContext(serverAuth)".to_owned(),
        error => name(error),
    }
}

/// The name of an error, without what belongs to it.
fn name(error: &Error) -> String {
    let name = format!("{error:?}");
    name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time at which all are good but those that are meant not to be: 2025-01-01.
    const NOW: u64 = 1_735_689_600;

    fn outcome(server: &str, root: &str, intermediates: &[&str], now: u64) -> String {
        let intermediates: Vec<_> = intermediates.iter().map(|text| text.as_bytes().to_vec()).collect();
        verify(server.as_bytes(), root.as_bytes(), &intermediates, now)
            .map_or_else(|fault| fault.to_string(), |()| "good".to_owned())
    }

    #[test]
    fn follows_a_chain() {
        assert_eq!(outcome(DIRECT, ROOT, &[], NOW), "good");
        assert_eq!(outcome(SERVER, ROOT, &[BETWEEN], NOW), "good");
        assert_eq!(outcome(SERVER, ROOT, &[DIRECT, BETWEEN], NOW), "good");
        assert_eq!(outcome(&format!("{SERVER}{BETWEEN}"), ROOT, &[], NOW), "good");
        // Only the first of the root's file is trusted.
        assert_eq!(outcome(DIRECT, &format!("{ROOT}{BETWEEN}"), &[], NOW), "good");
        assert!(outcome(DIRECT, &format!("{BETWEEN}{ROOT}"), &[], NOW).contains("verification"));
        // Text around certificates is usual.
        assert_eq!(outcome(&format!("Subject: srv\n{DIRECT}\n# end\n"), ROOT, &[], NOW), "good");
    }

    #[test]
    fn says_why_a_chain_is_not_good() {
        let failed =
            |why: &str| format!("Certificate verification error: Certificate chain verification failed: {why}");
        assert_eq!(outcome(SERVER, ROOT, &[], NOW), failed("UnknownIssuer"));
        assert_eq!(outcome(ROOT, ROOT, &[], NOW), failed("CaUsedAsEndEntity"));
        assert_eq!(outcome(CLIENT, ROOT, &[], NOW), failed("RequiredEkuNotFoundContext(serverAuth)"));
        let early = failed("CertNotValidYet { time: 1000000000, not_before: 1577836800 }");
        assert_eq!(outcome(DIRECT, ROOT, &[], 1_000_000_000), early);
        let late = failed("CertExpired { time: 4800000000, not_after: 4701974400 }");
        assert_eq!(outcome(DIRECT, ROOT, &[], 4_800_000_000), late);
    }

    #[test]
    fn says_what_cannot_be_read() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let unfinished = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        for (server, root, expected) in [
            ("", ROOT, "No certificates found in server certificate file"),
            ("hello\n", ROOT, "No certificates found in server certificate file"),
            (DIRECT, "hello\n", "No certificates found in root CA file"),
            (broken, ROOT, "Failed to parse end-entity certificate: TrailingData"),
            (DIRECT, broken, "Failed to parse root certificate as trust anchor: TrailingData"),
            (unfinished, ROOT, "Failed to parse PEM certificates: missing section end marker: CERTIFICATE"),
        ] {
            assert_eq!(outcome(server, root, &[], NOW), format!("Certificate parse error: {expected}"));
        }
        assert!(outcome(SERVER, ROOT, &[unfinished], NOW).starts_with("Certificate parse error: "));
    }

    /// A certificate authority, from 2020 to 2119 as all of these.
    const ROOT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBMzCB26ADAgECAhQknpAOGQu8FdEVgGFHkp0VDes4nTAKBggqhkjOPQQDAjAP
MQ0wCwYDVQQDDARSb290MCAXDTIwMDEwMTAwMDAwMFoYDzIxMTkwMTAxMDAwMDAw
WjAPMQ0wCwYDVQQDDARSb290MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7wgY
+KlM2IkO2l4qnlCgHTQYhwTuL0TN/DP2YbfcsTiAH7Kd2h8G4rZ9DSJsdpFR4m5u
WKFKh+IPVXhZbn9HRqMTMBEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNH
ADBEAiAd5cny6RM558ONJ38lcHRwCLZVketWupEuALphGIYoxwIgXwAgot+MGiF3
u2y70vEU81slcsFvOrjZ9B8wjJo80Iw=
-----END CERTIFICATE-----
";

    /// Signed by it, for servers.
    const DIRECT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBXjCCAQSgAwIBAgIUdvOEF39buSCTm/peZQxDFkEO2zgwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEUm9vdDAgFw0yMDAxMDEwMDAwMDBaGA8yMTE5MDEwMTAwMDAw
MFowDjEMMAoGA1UEAwwDc3J2MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERuK3
t6jPuxFXRXc1g1lieipsyUckYbVHrsIuAaCbKjlNP+ITqR5oeJIXs8VvPEx0EGX8
GI7lSVZHsQCQd+5X2qM9MDswDAYDVR0TAQH/BAIwADAWBgNVHREEDzANggtzcnYu
ZXhhbXBsZTATBgNVHSUEDDAKBggrBgEFBQcDATAKBggqhkjOPQQDAgNIADBFAiEA
lJ5WIlg1GvF4cMGXjHoe3PdPD+PoOxFBE+LP+MCb7rICIHHUefpsImTcRmthcWOQ
itm2PfmLkPhbwIWku/BSlaXd
-----END CERTIFICATE-----
";

    /// An authority that it has signed.
    const BETWEEN: &str = "\
-----BEGIN CERTIFICATE-----
MIIBNTCB3KADAgECAhRv00cAAbxBOvPUaguDAdCkRl2zfDAKBggqhkjOPQQDAjAP
MQ0wCwYDVQQDDARSb290MCAXDTIwMDEwMTAwMDAwMFoYDzIxMTkwMTAxMDAwMDAw
WjAQMQ4wDAYDVQQDDAVJbnRlcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDRf
SExXg8MTAZqqJZxv2corB2CGDcjXCO9eHM4cGbZkxos5eRyrD7PagfO67mm/Chod
DNRM5CvCQ8HMj7PBEA2jEzARMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwID
SAAwRQIhAMbGZT91xu6DjwOg21rKjSvQh24/8SsgOWlllzSbY8wZAiBL48Wk2O0E
lxcs/RPTGMilx7W8xp3cL8lpr2Q7PO5paw==
-----END CERTIFICATE-----
";

    /// Signed by that one, for servers.
    const SERVER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBYDCCAQWgAwIBAgIUcxX6+jCOYWuXE9343oqpKzv5c6cwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFSW50ZXIwIBcNMjAwMTAxMDAwMDAwWhgPMjExOTAxMDEwMDAw
MDBaMA4xDDAKBgNVBAMMA3NydjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEbi
t7eoz7sRV0V3NYNZYnoqbMlHJGG1R67CLgGgmyo5TT/iE6keaHiSF7PFbzxMdBBl
/BiO5UlWR7EAkHfuV9qjPTA7MAwGA1UdEwEB/wQCMAAwFgYDVR0RBA8wDYILc3J2
LmV4YW1wbGUwEwYDVR0lBAwwCgYIKwYBBQUHAwEwCgYIKoZIzj0EAwIDSQAwRgIh
AIYGgAWDILijXulvZNAyLB3C8wZHVPYsxAgn1GEOrwcLAiEA/ybkBXSN2FjM7o9c
3OT6I2T7636YJm2X2jm6tDjvH58=
-----END CERTIFICATE-----
";

    /// Signed by the first, for clients only.
    const CLIENT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBXTCCAQSgAwIBAgIUTCVZ4wRthGh9nSE3xuLWgfgdCU8wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEUm9vdDAgFw0yMDAxMDEwMDAwMDBaGA8yMTE5MDEwMTAwMDAw
MFowDjEMMAoGA1UEAwwDc3J2MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERuK3
t6jPuxFXRXc1g1lieipsyUckYbVHrsIuAaCbKjlNP+ITqR5oeJIXs8VvPEx0EGX8
GI7lSVZHsQCQd+5X2qM9MDswDAYDVR0TAQH/BAIwADAWBgNVHREEDzANggtzcnYu
ZXhhbXBsZTATBgNVHSUEDDAKBggrBgEFBQcDAjAKBggqhkjOPQQDAgNHADBEAiAh
KaTJqRPw4S3QgboysBvgJdGaSGt7uR6Z+snyEwJIHwIgYemJN+rRMA0Q6jM3m25T
lpuwk+uRsdSYDxiNFPkqHv0=
-----END CERTIFICATE-----
";
}
