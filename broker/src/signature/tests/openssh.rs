//! What `ssh-keygen -Y sign` writes: which of it is taken, and which refused with what reason.

use super::super::KeyFault;
use super::*;

#[test]
fn every_key_type_signs() {
    let keys = Keys::new();
    for (key_type, bits) in
        [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("rsa", "2048"), ("rsa", "3072"), ("rsa", "4096")]
    {
        let name = format!("{key_type}{bits}");
        let key = keys.make(&name, key_type, bits);
        let signers = listed(&format!("{name} {key} a comment"));
        for hash in ["sha256", "sha512"] {
            // Some numbers of ECDSA are shorter than others.
            for round in 0..10 {
                let script = format!("round {round}\n");
                let signature =
                    keys.sign_with(&name, script.as_bytes(), NAMESPACE, &["-O", &format!("hashalg={hash}")]);
                assert_eq!(signers.signer(script.as_bytes(), &signature, now()), Ok(name.as_str()), "{name} {hash}");
                assert_eq!(refused(&signers, &signature), SignatureError::Mismatch, "{name} {hash}");
            }
        }
    }
}

#[test]
fn any_script_can_be_signed() {
    let (keys, signers, _) = alice();
    for script in [Vec::new(), vec![0], b"a\r\nb\xff\n".to_vec(), vec![b'x'; 3_000_000]] {
        let signature = keys.sign("alice", &script);
        assert_eq!(signers.signer(&script, &signature, now()), Ok("alice"));
    }
}

#[test]
fn the_signer_is_the_one_of_the_key() {
    let keys = Keys::new();
    let list: String =
        ["ann", "bob", "cy"].map(|name| format!("{name} {}\n", keys.make(name, "ed25519", "256"))).concat();
    let signers = listed(&list);
    for name in ["ann", "bob", "cy"] {
        assert_eq!(signers.signer(SCRIPT, &keys.sign(name, SCRIPT), now()), Ok(name));
    }
    keys.make("mallory", "ed25519", "256");
    assert_eq!(refused(&signers, &keys.sign("mallory", SCRIPT)), SignatureError::UnknownKey);
    assert_eq!(refused(&listed(""), &keys.sign("ann", SCRIPT)), SignatureError::UnknownKey);
}

#[test]
fn a_key_that_is_not_listed_cannot_pose_as_one_that_is() {
    let (keys, signers, signature) = alice();
    let mallory = keys.make("mallory", "ed25519", "256");
    let theirs = dearmor(&keys.sign("mallory", SCRIPT));
    let of_mallory = STANDARD.decode(mallory.split_once(' ').unwrap().1).unwrap();
    let ours = dearmor(&signature);
    // The key is the same number of bytes in both, after the magic and the version.
    let forged = [&ours[..10 + 4 + of_mallory.len()], &theirs[10 + 4 + of_mallory.len()..]].concat();
    assert_eq!(refused(&signers, &armor(&forged)), SignatureError::Mismatch);
}

#[test]
fn other_namespaces_are_refused() {
    let (keys, signers, _) = alice();
    for namespace in ["file", "git", "rex-scripts", "rex-scrip", "REX-SCRIPT", "rex-script,file", "*"] {
        let signature = keys.sign_with("alice", SCRIPT, namespace, &[]);
        assert_eq!(refused(&signers, &signature), SignatureError::Namespace, "{namespace}");
    }
}

#[test]
fn the_list_can_restrict_namespaces() {
    let keys = Keys::new();
    let key = keys.make("alice", "ed25519", "256");
    let signature = keys.sign("alice", SCRIPT);
    for namespaces in ["rex-script", "file,rex-*", "!git,*"] {
        let signers = listed(&format!("alice namespaces=\"{namespaces}\" {key}"));
        assert_eq!(signers.signer(SCRIPT, &signature, now()), Ok("alice"), "{namespaces}");
    }
    for namespaces in ["", "file", "!rex-script,*", "!git"] {
        let signers = listed(&format!("alice namespaces=\"{namespaces}\" {key}"));
        let principal = "alice".to_owned();
        assert_eq!(refused(&signers, &signature), SignatureError::OtherUse { principal }, "{namespaces}");
    }
}

#[test]
fn keys_are_valid_within_their_times_only() {
    let keys = Keys::new();
    let key = keys.make("alice", "ed25519", "256");
    let signature = keys.sign("alice", SCRIPT);
    let signers = listed(&format!("alice valid-after=\"20250101Z\",Valid-Before=\"20251231235959Z\" {key}"));
    let at = |time: &str| signers.signer(SCRIPT, &signature, time.parse().unwrap()).map_err(well_told);
    let (after, before) = ("2025-01-01T00:00:00Z".parse().unwrap(), "2025-12-31T23:59:59Z".parse().unwrap());
    let early = Err(SignatureError::NotYetValid { principal: "alice".to_owned(), after });
    let late = Err(SignatureError::Expired { principal: "alice".to_owned(), before });
    assert_eq!(at("1970-01-01T00:00:00Z"), early);
    assert_eq!(at("2024-12-31T23:59:59.999Z"), early);
    assert_eq!(at("2025-01-01T00:00:00Z"), Ok("alice"));
    assert_eq!(at("2025-12-31T23:59:59.999Z"), Ok("alice"));
    assert_eq!(at("2026-01-01T00:00:00Z"), late);
    assert_eq!(at("9999-01-01T00:00:00Z"), late);
}

#[test]
fn keys_that_are_not_taken_are_refused_in_signatures_and_lists() {
    let keys = Keys::new();
    let (_, signers, _) = alice();
    for (key_type, bits, fault) in [("rsa", "1024", KeyFault::RsaSize), ("ecdsa", "521", KeyFault::Type)] {
        let key = keys.make(key_type, key_type, bits);
        assert_eq!(refused(&signers, &keys.sign(key_type, SCRIPT)), SignatureError::Key(fault));
        let error = AllowedSigners::parse(&format!("alice {key}")).map_err(well_told).unwrap_err();
        assert_eq!(error, SignatureError::List { line: 1, fault: fault.into() });
    }
}

#[test]
fn certificates_are_refused() {
    let (keys, signers, _) = alice();
    keys.make("authority", "ed25519", "256");
    keys.keygen(&["-q", "-s", "authority", "-I", "id", "-n", "alice", "alice.pub"]);
    let certificate = fs::read_to_string(keys.0.path().join("alice-cert.pub")).unwrap();
    let of_certificate = STANDARD.decode(certificate.split(' ').nth(1).unwrap()).unwrap();
    let blob = blob(1, &[&of_certificate, NAMESPACE.as_bytes(), b"", b"sha512", &strings(&[b"ssh-ed25519", &[0; 64]])]);
    assert_eq!(refused(&signers, &armor(&blob)), SignatureError::Key(KeyFault::Certificate));
    let error = AllowedSigners::parse(&format!("alice {certificate}")).map_err(well_told).unwrap_err();
    assert_eq!(error, SignatureError::List { line: 1, fault: KeyFault::Certificate.into() });
}
