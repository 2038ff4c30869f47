//! Lists that are taken and lists that are refused.

use super::super::{KeyFault, LineFault};
use super::*;

/// A key of the right form.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBxDQpiW8dnpTRsH+YjSKTOX9Lrme/ohDMvm9Gti8rjy";

fn fault(line: &str) -> LineFault {
    match AllowedSigners::parse(&format!("# A comment.\n{line}\n")).map_err(well_told) {
        Err(SignatureError::List { line: 2, fault }) => fault,
        other => panic!("{line}: {other:?}"),
    }
}

/// A line of a key of these strings.
fn line_of(strings_of_it: &[&[u8]]) -> String {
    format!("alice {} {}", str::from_utf8(strings_of_it[0]).unwrap(), STANDARD.encode(strings(strings_of_it)))
}

#[test]
fn lines_are_taken_as_openssh_takes_them() {
    for (line, wanted) in [
        (format!("alice {KEY}"), Some("alice")),
        (format!("alice {KEY}\r"), Some("alice")),
        (format!("\t alice \t {KEY} \t a \"comment, \\"), Some("alice")),
        (format!("alice@example.org {KEY}"), Some("alice@example.org")),
        (format!("alice namespaces=\"a b,c\",valid-after=\"20200101Z\" {KEY}"), Some("alice")),
        (format!("alice NAMESPACES=\"file\"\t{KEY}"), Some("alice")),
        (format!("#alice {KEY}"), None),
        (format!("  # alice {KEY}"), None),
        (" \t\r".to_owned(), None),
    ] {
        let signers = listed(&line);
        let names: Vec<&str> = signers.signers.values().map(|signer| signer.principal.as_str()).collect();
        assert_eq!(names, Vec::from_iter(wanted), "{line}");
    }
}

#[test]
fn lines_that_are_not_understood_are_refused() {
    let two = format!("ssh-rsa {}", KEY.split_once(' ').unwrap().1);
    for (line, wanted) in [
        (format!("* {KEY}"), LineFault::Pattern),
        (format!("*@example.org {KEY}"), LineFault::Pattern),
        (format!("alic? {KEY}"), LineFault::Pattern),
        (format!("!alice {KEY}"), LineFault::Pattern),
        (format!("alice,bob {KEY}"), LineFault::Pattern),
        (format!("alice, {KEY}"), LineFault::Pattern),
        (format!("\"alice\" {KEY}"), LineFault::Name),
        (format!("\"alice b\" {KEY}"), LineFault::Name),
        (format!("älice {KEY}"), LineFault::Name),
        (format!("al\u{1b}ice {KEY}"), LineFault::Name),
        (format!("\u{feff}alice {KEY}"), LineFault::Name),
        ("alice".to_owned(), LineFault::NoKey),
        (KEY.to_owned(), LineFault::UnknownOption),
        ("alice ssh-ed25519".to_owned(), LineFault::NoKey),
        ("alice namespaces=\"file\"".to_owned(), LineFault::NoKey),
        (format!("alice cert-authority {KEY}"), LineFault::CertAuthority),
        (format!("alice namespaces=\"*\",CERT-AUTHORITY {KEY}"), LineFault::CertAuthority),
        (format!("alice verify-required {KEY}"), LineFault::UnknownOption),
        (format!("alice valid-after {KEY}"), LineFault::Quotes),
        (format!("alice , {KEY}"), LineFault::UnknownOption),
        (format!("alice valid-after=\"20200101Z\", {KEY}"), LineFault::UnknownOption),
        (format!("alice valid-after=\"20200101Z\" namespaces=\"file\" {KEY}"), LineFault::NoKey),
        (format!("alice valid-after=20200101Z {KEY}"), LineFault::Quotes),
        (format!("alice valid-after=\"20200101Z {KEY}"), LineFault::Quotes),
        (format!("alice valid-after=\" {KEY}"), LineFault::Quotes),
        (format!("alice namespaces=\"a\"b\" {KEY}"), LineFault::Quotes),
        (format!("alice namespaces=\"a\\\"b\" {KEY}"), LineFault::Quotes),
        (format!("alice namespaces=\"a\",namespaces=\"a\" {KEY}"), LineFault::OptionTwice),
        (format!("alice valid-after=\"2020\" {KEY}"), LineFault::Time),
        (format!("alice valid-before=\"\" {KEY}"), LineFault::Time),
        (format!("alice valid-after=\"20200101Z\",valid-before=\"20200101Z\" {KEY}"), LineFault::NeverValid),
        (format!("alice {two}"), LineFault::OtherType),
        (format!("alice {KEY}="), LineFault::Key(KeyFault::Malformed)),
        ("alice ssh-ed25519 AAAA".to_owned(), LineFault::Key(KeyFault::Malformed)),
        (line_of(&[b"ssh-ed25519", &[0; 31]]), LineFault::Key(KeyFault::Malformed)),
        (line_of(&[b"ssh-ed25519", &[0; 32], b""]), LineFault::Key(KeyFault::Malformed)),
        (line_of(&[b"ecdsa-sha2-nistp256", b"nistp384", &[4; 65]]), LineFault::Key(KeyFault::Malformed)),
        (line_of(&[b"ecdsa-sha2-nistp256", b"nistp256", &[2; 33]]), LineFault::Key(KeyFault::Malformed)),
        (line_of(&[b"ecdsa-sha2-nistp384", b"nistp384", &[4; 65]]), LineFault::Key(KeyFault::Malformed)),
        (line_of(&[b"ssh-rsa", &[3], &[0; 300]]), LineFault::Key(KeyFault::Malformed)),
        (line_of(&[b"ssh-rsa", &[3], &[0x7f; 256]]), LineFault::Key(KeyFault::RsaSize)),
        (line_of(&[b"ssh-rsa", &[3], &[1; 1025]]), LineFault::Key(KeyFault::RsaSize)),
        (line_of(&[b"ssh-dss", &[3]]), LineFault::Key(KeyFault::Type)),
        (line_of(&[b"sk-ssh-ed25519@openssh.com", &[7; 32], b"ssh:"]), LineFault::Key(KeyFault::SecurityKey)),
        (line_of(&[b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256"]), LineFault::Key(KeyFault::SecurityKey)),
    ] {
        assert_eq!(fault(&line), wanted, "{line}");
    }
}

#[test]
fn a_key_has_one_principal() {
    for second in ["bob", "alice", "bob namespaces=\"file\""] {
        let error = AllowedSigners::parse(&format!("alice {KEY}\n\n{second} {KEY}\n")).map_err(well_told).unwrap_err();
        assert_eq!(error, SignatureError::List { line: 3, fault: LineFault::KeyTwice });
    }
}

#[test]
fn a_huge_list_is_refused() {
    assert!(AllowedSigners::parse(&"\n".repeat(1024 * 1024)).is_ok());
    let error = AllowedSigners::parse(&"\n".repeat(1024 * 1024 + 1)).map_err(well_told).unwrap_err();
    assert_eq!(error, SignatureError::ListTooLong);
}

#[test]
fn openssh_understands_the_lists_that_are_taken() {
    let (keys, _, _) = alice();
    let key = fs::read_to_string(keys.0.path().join("alice.pub")).unwrap();
    let list =
        format!("# Ours.\nalice namespaces=\"rex-*\",valid-after=\"20200101Z\",valid-before=\"202912312359Z\" {key}");
    fs::write(keys.0.path().join("list"), &list).unwrap();
    keys.sign("alice", SCRIPT);
    keys.keygen(&["-Y", "find-principals", "-s", "script.sig", "-f", "list"]);
    assert!(AllowedSigners::parse(&list).is_ok());
}
