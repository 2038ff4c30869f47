//! Signatures that `ssh-keygen` does not write.

use super::super::KeyFault;
use super::*;

/// A key of each type that is taken, with its public key and its signature of [`SCRIPT`].
fn one_of_each_type() -> (AllowedSigners, Vec<String>) {
    let keys = Keys::new();
    let (mut list, mut signatures) = (String::new(), Vec::new());
    for (key_type, bits) in [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("rsa", "2048")] {
        let name = format!("{key_type}{bits}");
        list += &format!("{name} {}\n", keys.make(&name, key_type, bits));
        signatures.push(keys.sign(&name, SCRIPT));
    }
    (listed(&list), signatures)
}

/// The strings of a signature after its version, and the two of its last one.
fn parts(signature: &str) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let all = |bytes: &[u8], count: usize| {
        let mut reader = super::super::wire::Reader(bytes);
        let strings: Vec<Vec<u8>> = (0..count).map(|_| reader.string().unwrap().to_vec()).collect();
        assert!(reader.end().is_some());
        strings
    };
    let outer = all(&dearmor(signature)[10..], 5);
    let inner = all(&outer[4], 2);
    (outer, inner)
}

/// The refusal of a signature whose last string is of these.
fn refused_with(signers: &AllowedSigners, signature: &str, algorithm: &[u8], value: &[u8]) -> SignatureError {
    let (outer, _) = parts(signature);
    let blob = blob(1, &[&outer[0], &outer[1], &outer[2], &outer[3], &strings(&[algorithm, value])]);
    refused(signers, &armor(&blob))
}

#[test]
fn truncated_signatures_are_refused() {
    let (signers, signatures) = one_of_each_type();
    for signature in signatures {
        let end = signature.trim_end().len();
        for length in 0..end {
            refused(&signers, &signature[..length]);
        }
        assert!(signers.signer(SCRIPT, &signature[..end], now()).is_ok());
        let blob = dearmor(&signature);
        for length in 0..blob.len() {
            refused(&signers, &armor(&blob[..length]));
            refused(&signers, &armor(&blob[length + 1..]));
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let (_keys, signers, signature) = alice();
    let blob = dearmor(&signature);
    for position in 0..blob.len() {
        for flip in (0..8).map(|bit| 1 << bit).chain([0xff]) {
            let mut flipped = blob.clone();
            flipped[position] ^= flip;
            refused(&signers, &armor(&flipped));
        }
    }
}

#[test]
fn empty_and_huge_signatures_are_refused() {
    let (_keys, signers, signature) = alice();
    for empty in ["", "\n", "\r\n", "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"] {
        assert_eq!(refused(&signers, empty), SignatureError::Armor);
    }
    assert_eq!(refused(&signers, &armor(b"")), SignatureError::Malformed);
    assert_eq!(refused(&signers, &armor(&[0xff; 12_000])), SignatureError::Malformed);
    assert_eq!(refused(&signers, &armor(&[0; 13_000])), SignatureError::TooLong);
    assert_eq!(refused(&signers, &"A".repeat(100_000_000)), SignatureError::TooLong);
    let padded = |length: usize| signature.clone() + &"\n".repeat(length - signature.len());
    assert_eq!(signers.signer(SCRIPT, &padded(16 * 1024), now()), Ok("alice"));
    assert_eq!(refused(&signers, &padded(16 * 1024 + 1)), SignatureError::TooLong);
}

#[test]
fn armor_is_taken_with_other_line_ends_and_with_nothing_else() {
    let (_keys, signers, signature) = alice();
    let crlf = signature.replace('\n', "\r\n");
    for same in [crlf.as_str(), crlf.trim_end(), signature.trim_end(), &armor(&dearmor(&signature))] {
        assert_eq!(signers.signer(SCRIPT, same, now()), Ok("alice"));
    }
    let lines: Vec<&str> = signature.lines().collect();
    for other in [
        format!("\n{signature}"),
        format!(" {signature}"),
        format!("\u{feff}{signature}"),
        format!("{signature}more"),
        format!("{signature}{signature}"),
        signature.replace('\n', "\r"),
        signature.replace('\n', " "),
        signature.replace('\n', ""),
        signature.replace("SSH", "PGP"),
        signature.replace("-----END", "=====\n-----END"),
        signature.replace(lines[1], &format!("{} ", lines[1])),
        signature.replace(lines[1], &format!("{}\0", lines[1])),
        signature.replace(lines[1], &format!("{}é", lines[1])),
    ] {
        assert_eq!(refused(&signers, &other), SignatureError::Armor, "{other}");
    }
}

#[test]
fn ten_thousand_mutations_are_refused() {
    let (signers, signatures) = one_of_each_type();
    // SplitMix64 with a fixed seed.
    let mut state = 0u64;
    let mut below = |bound: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    };
    for round in 0..10_000 {
        let signature = &signatures[round % signatures.len()];
        let in_armor = below(4) == 0;
        let original = dearmor(signature);
        let mut bytes = if in_armor { signature.clone().into_bytes() } else { original.clone() };
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            match below(5) {
                0 => bytes[at] ^= 1 << below(8),
                1 => bytes[at] = u8::try_from(below(256)).unwrap(),
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, u8::try_from(below(256)).unwrap()),
                _ => {
                    let from = below(bytes.len());
                    let copy: Vec<u8> = bytes[from..].iter().copied().take(below(20)).collect();
                    let end = bytes.len().min(at + copy.len());
                    bytes.splice(at..end, copy);
                }
            }
        }
        let mutated = if in_armor { String::from_utf8_lossy(&bytes).into_owned() } else { armor(&bytes) };
        match signers.signer(SCRIPT, &mutated, now()) {
            // Only the armor differs, or nothing.
            Ok(_) => assert_eq!(dearmor(&mutated), original, "{mutated}"),
            Err(error) => drop(well_told(error)),
        }
    }
}

#[test]
fn formats_that_openssh_does_not_write_are_refused() {
    let (_keys, signers, signature) = alice();
    let (outer, inner) = parts(&signature);
    let [key, namespace, none, hash, value] = [0, 1, 2, 3, 4].map(|index: usize| outer[index].as_slice());
    assert_eq!(signers.signer(SCRIPT, &armor(&blob(1, &[key, namespace, none, hash, value])), now()), Ok("alice"));
    for (blob, wanted) in [
        (blob(0, &[key, namespace, none, hash, value]), SignatureError::Version),
        (blob(2, &[key, namespace, none, hash, value]), SignatureError::Version),
        (blob(1, &[key, b"", none, hash, value]), SignatureError::Namespace),
        (blob(1, &[key, b"rex-script\0", none, hash, value]), SignatureError::Namespace),
        (blob(1, &[key, namespace, b"more", hash, value]), SignatureError::Malformed),
        (blob(1, &[key, namespace, none, b"sha1", value]), SignatureError::Hash),
        (blob(1, &[key, namespace, none, b"", value]), SignatureError::Hash),
        (blob(1, &[key, namespace, none, b"sha256", value]), SignatureError::Mismatch),
        (blob(1, &[key, namespace, none, hash]), SignatureError::Malformed),
        (blob(1, &[key, namespace, none, hash, value, b""]), SignatureError::Malformed),
        (blob(1, &[key, namespace, none, hash, b""]), SignatureError::Malformed),
        (blob(1, &[b"", namespace, none, hash, value]), SignatureError::Key(KeyFault::Malformed)),
        (blob(1, &[&[key, b"x"].concat(), namespace, none, hash, value]), SignatureError::Key(KeyFault::Malformed)),
        (blob(1, &[&strings(&[b"\xff\n"]), namespace, none, hash, value]), SignatureError::Key(KeyFault::Malformed)),
        (blob(1, &[&strings(&[b"ssh-dss"]), namespace, none, hash, value]), SignatureError::Key(KeyFault::Type)),
        (
            blob(1, &[&strings(&[b"sk-ssh-ed25519@openssh.com", &[7; 32], b"ssh:"]), namespace, none, hash, value]),
            SignatureError::Key(KeyFault::SecurityKey),
        ),
    ] {
        assert_eq!(refused(&signers, &armor(&blob)), wanted);
    }
    for algorithm in [b"ssh-rsa".as_slice(), b"", b"ssh-ed25519\0", b"ecdsa-sha2-nistp256"] {
        assert_eq!(refused_with(&signers, &signature, algorithm, &inner[1]), SignatureError::Algorithm);
    }
    for value in [&inner[1][1..], &[inner[1].as_slice(), &[0]].concat(), &[0; 64], &[]] {
        assert_eq!(refused_with(&signers, &signature, &inner[0], value), SignatureError::Mismatch);
    }
}

#[test]
fn rsa_is_refused_with_sha_1_or_another_length() {
    let (signers, signatures) = one_of_each_type();
    let (_, inner) = parts(&signatures[3]);
    assert_eq!(inner[0], b"rsa-sha2-512");
    for (algorithm, wanted) in [
        (b"ssh-rsa".as_slice(), SignatureError::Sha1),
        (b"ssh-ed25519", SignatureError::Algorithm),
        (b"rsa-sha2-256", SignatureError::Mismatch),
    ] {
        assert_eq!(refused_with(&signers, &signatures[3], algorithm, &inner[1]), wanted);
    }
    for value in [&[&[0], inner[1].as_slice()].concat(), &inner[1][1..], &[0; 256], &[0xff; 256], &[]] {
        assert_eq!(refused_with(&signers, &signatures[3], &inner[0], value), SignatureError::Mismatch);
    }
}

#[test]
fn ecdsa_is_refused_with_numbers_out_of_form() {
    let (signers, signatures) = one_of_each_type();
    for (signature, width) in [(&signatures[1], 32), (&signatures[2], 48)] {
        let (_, inner) = parts(signature);
        let one: &[u8] = &[1];
        let (wide, order_or_more) = (vec![1; width + 1], [vec![0], vec![0xff; width]].concat());
        for (numbers, wanted) in [
            (vec![one, one], SignatureError::Mismatch),
            (vec![&order_or_more, &order_or_more], SignatureError::Mismatch),
            (vec![one, &wide], SignatureError::Malformed),
            (vec![one, b""], SignatureError::Malformed),
            (vec![one, &[0]], SignatureError::Malformed),
            (vec![one, &[0, 1]], SignatureError::Malformed),
            (vec![one, &[0x80]], SignatureError::Malformed),
            (vec![one], SignatureError::Malformed),
            (vec![one, one, one], SignatureError::Malformed),
        ] {
            assert_eq!(refused_with(&signers, signature, &inner[0], &strings(&numbers)), wanted, "{numbers:?}");
        }
    }
}
