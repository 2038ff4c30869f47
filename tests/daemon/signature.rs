//! Scripts that come with a signature, as `ssh-keygen` makes it.

use rex_tests::{Daemon, Ran, Settings, skip};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What `release` has signed may ask for this, and nothing else may.
const POLICY: &str = r#"@id("signed") permit(principal, action == sysinfo::Action::"list", resource)
    when { context.session.signed_by == "release" };"#;
const SCRIPT: &str = "hostname().len() > 0";

/// A broker, and keys in its folder.
struct Signing {
    daemon: Daemon,
}

impl Signing {
    /// Nothing where there is no `ssh-keygen`.
    fn new() -> Option<Self> {
        let there = Command::new("ssh-keygen").arg("-?").stdin(Stdio::null()).stderr(Stdio::null()).status();
        if there.is_err() {
            skip("there is no ssh-keygen");
            return None;
        }
        Some(Self { daemon: Daemon::start(&Settings { policy: POLICY.into(), ..Settings::default() }) })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.daemon.folder().join(name)
    }

    /// Makes a key, and gives the public one as lists have it.
    fn key(&self, name: &str, kind: &str) -> String {
        keygen(&["-q", "-t", kind, "-N", "", "-C", "a comment", "-f", text(&self.path(name))]);
        fs::read_to_string(self.path(&format!("{name}.pub"))).expect("a public key").trim_end().to_owned()
    }

    /// The list of signers is this from now on.
    fn allow(&self, list: &str) {
        fs::write(self.path("allowed_signers"), list).expect("a list");
        let reload = self.daemon.policy(&["reload"]);
        assert_eq!(reload.code, 0, "{reload:?}");
    }

    /// A signature of a script by a key, for a namespace.
    fn sign(&self, key: &str, namespace: &str, script: &str) -> PathBuf {
        let (file, key) = (self.path("to-sign"), self.path(key));
        let signature = self.path("to-sign.sig");
        let _ = fs::remove_file(&signature);
        fs::write(&file, script).expect("a script");
        keygen(&["-q", "-Y", "sign", "-f", text(&key), "-n", namespace, text(&file)]);
        signature
    }

    fn run(&self, script: &str, signature: &Path) -> Ran {
        self.daemon.run_with(script, &["--signature", text(signature)])
    }

    /// The latest run's signer, as it is recorded.
    fn recorded(&self) -> String {
        let records = self.daemon.records();
        records.iter().rfind(|record| record.kind() == "run-start").expect("a run").text("signed_by").to_owned()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of these tests is UTF-8")
}

fn keygen(arguments: &[&str]) {
    let done = Command::new("ssh-keygen").args(arguments).stdin(Stdio::null()).output().expect("ssh-keygen runs");
    assert!(done.status.success(), "{arguments:?}: {done:?}");
}

fn succeeds(ran: &Ran) {
    assert_eq!((ran.code, ran.output()), (0, "true"), "{} {}", ran.stdout, ran.stderr);
}

/// The run did not begin, for this reason.
fn is_refused(ran: &Ran, reason: &str) {
    assert_eq!(ran.code, 3, "{reason}: {} {}", ran.stdout, ran.stderr);
    assert!(ran.error().contains(reason), "{reason}: {}", ran.stdout);
}

#[test]
fn policies_are_told_who_signed_a_script() {
    let Some(signing) = Signing::new() else { return };
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = signing.key(kind, kind);
        signing.allow(&format!("# who may deploy\n\nrelease {key}\n"));
        succeeds(&signing.run(SCRIPT, &signing.sign(kind, "rex-script", SCRIPT)));
        assert_eq!(signing.recorded(), "release");
    }
    // Without a signature it is a run of nobody's script.
    assert_eq!(signing.daemon.run(SCRIPT).code, 4);
    assert_eq!(signing.recorded(), "");
}

#[test]
fn the_signer_is_the_principal_of_the_key() {
    let Some(signing) = Signing::new() else { return };
    let (release, ana) = (signing.key("release", "ed25519"), signing.key("ana", "ed25519"));
    signing.allow(&format!("release {release}\nana namespaces=\"git,rex-*\" {ana}\n"));
    // Her signature holds, and is not the one that policy asks for.
    let ran = signing.run(SCRIPT, &signing.sign("ana", "rex-script", SCRIPT));
    assert_eq!((ran.code, ran.error_type()), (4, "ACCESS_DENIED_EXCEPTION"), "{}", ran.stdout);
    assert_eq!(signing.recorded(), "ana");
    succeeds(&signing.run(SCRIPT, &signing.sign("release", "rex-script", SCRIPT)));
}

#[test]
fn a_signature_that_does_not_hold_is_not_as_good_as_none() {
    let Some(signing) = Signing::new() else { return };
    let key = signing.key("release", "ed25519");
    signing.key("mallory", "ed25519");
    signing.allow(&format!("release {key}\n"));
    // A script that asks for nothing would be allowed to anybody.
    let (good, harmless) = (signing.sign("release", "rex-script", SCRIPT), "1 + 1");
    let kept = signing.path("kept.sig");
    fs::copy(good, &kept).expect("a copy");
    is_refused(&signing.run(harmless, &kept), "not one of this script");
    is_refused(&signing.run(&format!("{SCRIPT}\n"), &kept), "not one of this script");
    is_refused(&signing.run(harmless, &signing.sign("release", "file", harmless)), "another namespace");
    is_refused(&signing.run(harmless, &signing.sign("mallory", "rex-script", harmless)), "not listed");
    fs::write(&kept, "no signature").expect("a file");
    is_refused(&signing.run(harmless, &kept), "not whole");
    assert!(!signing.daemon.records().iter().any(|record| record.kind() == "run-start"), "none of them has begun");
    assert!(signing.daemon.log().contains("not one of this script"), "{}", signing.daemon.log());
}

#[test]
fn a_key_counts_in_its_time_and_for_its_use() {
    let Some(signing) = Signing::new() else { return };
    let key = signing.key("release", "ed25519");
    for (options, refused) in [
        ("valid-after=\"20200101Z\",valid-before=\"29990101Z\"", None),
        ("valid-before=\"20200101Z\"", Some("was valid until")),
        ("valid-after=\"29990101Z\"", Some("is not valid before")),
        ("namespaces=\"rex-script\"", None),
        ("namespaces=\"git,file\"", Some("is not listed for the namespace rex-script")),
    ] {
        signing.allow(&format!("release {options} {key}\n"));
        let ran = signing.run(SCRIPT, &signing.sign("release", "rex-script", SCRIPT));
        match refused {
            None => succeeds(&ran),
            Some(reason) => is_refused(&ran, reason),
        }
    }
}

#[test]
fn a_key_that_is_taken_from_the_list_counts_no_longer() {
    let Some(signing) = Signing::new() else { return };
    let (old, new) = (signing.key("old", "ed25519"), signing.key("new", "ed25519"));
    let signature = signing.path("kept.sig");
    fs::copy(signing.sign("old", "rex-script", SCRIPT), &signature).expect("a copy");
    signing.allow(&format!("release {old}\n"));
    succeeds(&signing.run(SCRIPT, &signature));
    for list in [format!("release {new}\n"), format!("#release {old}\n"), String::new()] {
        signing.allow(&list);
        is_refused(&signing.run(SCRIPT, &signature), "not listed");
    }
}

#[test]
fn a_list_that_says_more_than_is_understood_is_not_put_in_force() {
    let Some(signing) = Signing::new() else { return };
    let key = signing.key("release", "ed25519");
    let good = format!("release {key}\n");
    signing.allow(&good);
    let signature = signing.sign("release", "rex-script", SCRIPT);
    for (line, reason) in [
        (format!("release,ana {key}"), "several names"),
        (format!("*@example.com {key}"), "a pattern"),
        (format!("release cert-authority {key}"), "cert-authority"),
        (format!("release revoked {key}"), "an option other than"),
        (format!("@revoked release {key}"), "an option other than"),
        (format!("release valid-before=\"yesterday\" {key}"), "a time in an unknown form"),
        (format!("release {key}\nana {key}"), "listed on a line before"),
    ] {
        fs::write(signing.path("allowed_signers"), format!("{line}\n")).expect("a list");
        let reload = signing.daemon.policy(&["reload"]);
        assert_eq!(reload.code, 1, "{line}: {reload:?}");
        assert!(
            reload.stderr.contains("allowed_signers") && reload.stderr.contains(reason),
            "{line}: {}",
            reload.stderr
        );
        succeeds(&signing.run(SCRIPT, &signature));
    }
}
