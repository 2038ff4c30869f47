//! What the kernel lets a plain user not do: a session of their own has their rights.

use crate::attempts::{Attempt, compare, script};
use rex_tests::{Closely, Ran, Tree, is_root, programs, skip};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

const REFUSED: &str = "IoError: Permission denied (os error 13)";

const ATTEMPTS: &[Attempt<'_>] = &[
    (r#"cat("ROOT/closed")"#, REFUSED),
    (r#"grep("x", "ROOT/closed")"#, REFUSED),
    (r#"write("ROOT/closed", "x")"#, REFUSED),
    (r#"sed([sed::in_place], "a", "b", "ROOT/fixed")"#, REFUSED),
    (r#"write("ROOT/fixed", "x")"#, REFUSED),
    (r#"touch("ROOT/fixed")"#, REFUSED),
    (r#"cp([cp::force], "ROOT/closed", "ROOT/fixed")"#, REFUSED),
    (r#"cat("ROOT/shut/file")"#, REFUSED),
    (r#"ls("ROOT/shut")"#, REFUSED),
    (r#"mkdir("ROOT/still/new")"#, REFUSED),
    (r#"touch("ROOT/still/new")"#, REFUSED),
    (r#"write("ROOT/still/new", "x")"#, REFUSED),
    (
        r#"rm("ROOT/still/file")"#,
        "FileError: File error: Error removing file: ROOT/still/file: Permission denied (os error 13)",
    ),
    (r#"still.open_file("file", rw).write("x")"#, REFUSED),
    (r#"still.create_symlink("x", "file", CreateSymlinkOptions().force(true).build())"#, REFUSED),
    (
        r#"still.open_file("file", r).move(d, "new", MoveOptions().build())"#,
        "FileError: File error: Error moving file file from 'ROOT/still/file' to 'ROOT/new': ROOT/still/file: \
      Permission denied (os error 13)",
    ),
    (
        r#"d.open_file("open", r).set_ownership(SetOwnershipOptions().user("root").build())"#,
        "IoError: Operation not permitted (os error 1)",
    ),
];

/// As the user nobody, where the tests run as root.
const NOBODY: u32 = 65534;

#[test]
fn what_the_kernel_refuses_a_plain_user_is_told_of() {
    let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
    let root = folder.path();
    let mode = |name: &str, mode| {
        let path = root.join(name);
        if is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).expect("an owner");
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    for name in ["shut", "still"] {
        fs::create_dir(root.join(name)).expect("a folder");
    }
    for (name, bits) in
        [("closed", 0o000), ("fixed", 0o444), ("open", 0o644), ("shut/file", 0o644), ("still/file", 0o644)]
    {
        fs::write(root.join(name), "content").expect("a file");
        mode(name, bits);
    }
    mode("", 0o755);
    let before = Tree::of(root);
    mode("shut", 0o000);
    mode("still", 0o555);
    let hands = "let still = DirConfig().path(\"ROOT/still\").build().open(OpenDirOptions().build());";
    let ran = run(root, &script(root, hands, ATTEMPTS));
    mode("shut", 0o755);
    mode("still", 0o755);
    let Some(ran) = ran else { return skip("a plain user cannot run these programs here") };
    compare(root, ATTEMPTS, &ran);
    let changed = Tree::of(root).differences(&before, Closely::Content);
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

/// Runs a script as a plain user; nothing where the programs are out of its reach.
fn run(root: &Path, script: &str) -> Option<Ran> {
    let files = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
    fs::set_permissions(files.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let (script_file, policy) = (files.path().join("script.rhai"), files.path().join("policy.cedar"));
    fs::write(&script_file, script).expect("a script");
    fs::write(&policy, "permit(principal, action, resource);").expect("a policy");
    let mut command = Command::new(programs().join("rex-exec"));
    command.args(["--standalone", "--output-format", "json", "--script-file"]).arg(&script_file);
    command.arg("--policy-file").arg(&policy).current_dir(root).stdin(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let done = command.output().ok()?;
    Some(Ran::of(&done))
}
