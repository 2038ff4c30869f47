//! Mounts: what a script is told of them, and which it can unmount. Each run has a mount namespace of its own.

use rex_tests::{is_root, programs, skip};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A folder with `disk`, on which a small file system is mounted for the run, `my disk`, and links. What loads the kernel's
/// settings is another program for the run, which tells what it was given.
struct Stage(TempDir);

impl Stage {
    /// Nothing where the tests cannot mount.
    fn new() -> Option<Self> {
        let unshares = || Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
        if !is_root() || !unshares().is_ok_and(|status| status.success()) {
            skip("only root can mount, in a mount namespace of its own");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
        for name in ["disk", "my disk"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        std::os::unix::fs::symlink("disk", folder.path().join("link")).expect("a link");
        std::os::unix::fs::symlink(".", folder.path().join("here")).expect("a link");
        Some(Self(folder))
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    /// The output of a script, or its error. `ROOT` is the folder, in the policy too.
    fn run(&self, policy: &str, script: &str) -> String {
        let root = self.root().to_str().expect("UTF-8");
        for (name, text) in [("policy.cedar", policy), ("script.rhai", script)] {
            std::fs::write(self.root().join(name), text.replace("ROOT", root)).expect("a file");
        }
        const MOUNTS: &str = "mount -t tmpfs -o size=1m,nr_inodes=100 testdev disk && \
            head -c 40960 /dev/zero > disk/f && mount -t tmpfs otherdev 'my disk' && \
            if [ -f /usr/sbin/sysctl ]; then mount --bind /usr/bin/ls /usr/sbin/sysctl; fi && exec \"$0\" \"$@\"";
        let done = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", MOUNTS])
            .arg(programs().join("rex-exec"))
            .args(["--standalone", "--script-file", "script.rhai", "--policy-file", "policy.cedar"])
            .args(["--output-format", "json"])
            .current_dir(self.root())
            .stdin(Stdio::null())
            .output()
            .expect("unshare starts");
        let result: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        match (result["output"].as_str(), result["error"]["message"].as_str()) {
            (_, Some(error)) => error.to_owned(),
            (Some(output), None) => output.to_owned(),
            (None, None) => panic!("{done:?}"),
        }
    }
}

const EVERYTHING: &str = "permit(principal, action, resource);";

/// Unmounts a path, and shows how many of the two are left.
fn unmounting(path: &str) -> String {
    format!(
        "let mounts = Filesystems(FilesystemOptions().targets([\"ROOT/\"]).build());\n\
         let error = \"\";\n\
         try {{ unmount(UnmountOptions().path(\"{path}\").build()); }} catch (e) {{ error = `${{e.kind}} ${{e.message}}`; }}\n\
         `${{mounts.filesystems().len()}} ${{error}}`"
    )
}

#[test]
fn a_file_system_is_told_in_numbers() {
    let Some(stage) = Stage::new() else { return };
    let script = "let out = [];\n\
        for f in Filesystems(FilesystemOptions().targets([\"ROOT/\"]).local(true).build()).filesystems() {\n\
            out.push(`${f.fs_device}|${f.fs_kind}|${f.mounted_on}|${f.mount_options.contains(\"rw\")}`);\n\
            if f.fs_device == \"testdev\" {\n\
                out.push(`${f.size}|${f.kb_blocks}|${f.mb_blocks}|${f.block_used}|${f.block_available}|${f.block_use_percent}`);\n\
                out.push(`${f.inodes}|${f.iused}|${f.ifree}|${f.iuse_percent}|${format_bytes(f.block_used, Unit::KILOBYTES)}`);\n\
            }\n\
        }\n\
        out.reduce(|sum, line| if sum == () { line } else { sum + \"\\n\" + line })";
    let root = stage.root().display();
    assert_eq!(
        stage.run(EVERYTHING, script),
        format!(
            "testdev|tmpfs|{root}/disk|true\n1048576|1024|1|40960|1007616|3.90625\n100|2|98|2.0|40\n\
             otherdev|tmpfs|{root}/my disk|true"
        )
    );
}

#[test]
fn what_policy_allows_is_unmounted() {
    let Some(stage) = Stage::new() else { return };
    assert_eq!(stage.run(EVERYTHING, &unmounting("ROOT/disk")), "1 ");
    assert_eq!(stage.run(EVERYTHING, &unmounting("ROOT/here/my disk")), "1 ");
}

#[test]
fn a_forbid_on_unmounting_holds_by_every_way_to_the_place() {
    let Some(stage) = Stage::new() else { return };
    let policy = "permit(principal, action, resource);\n\
        forbid(principal, action == file_system::Action::\"unmount\", resource == file_system::Dir::\"ROOT/disk\");";
    for path in ["ROOT/disk", "ROOT/disk/", "ROOT//disk", "ROOT/here/disk", "ROOT/here/here/disk"] {
        let said = stage.run(policy, &unmounting(path));
        assert!(said.starts_with("2 PermissionDenied Permission denied"), "{path}: {said}");
    }
    // Links in last place are not followed, whatever policy says.
    for policy in [policy, EVERYTHING] {
        let said = stage.run(policy, &unmounting("ROOT/link"));
        assert!(said.starts_with("2 Other Failed to unmount"), "{said}");
    }
}

#[test]
fn settings_are_loaded_by_the_systems_own_program_and_nothing_else() {
    let Some(stage) = Stage::new() else { return };
    if !Path::new("/usr/sbin/sysctl").is_file() {
        return skip("there is no /usr/sbin/sysctl");
    }
    let script =
        "let said = \"\"; try { SysctlManager().load_system(); } catch (e) { said = `${e.kind} ${e.message}`; } said";
    let said = stage.run(EVERYTHING, script);
    assert!(said.starts_with("IoError sysctl --system failed with exit code 2: "), "{said}");
    assert!(said.contains("unrecognized option '--system'"), "{said}");
    for denied in [
        "action == sysctl::Action::\"load\", resource",
        "action == file_system::Action::\"open\", resource == file_system::Dir::\"/usr/sbin\"",
        "action == file_system::Action::\"open\", resource == file_system::File::\"/usr/sbin/sysctl\"",
    ] {
        let said = stage.run(&format!("{EVERYTHING}\nforbid(principal, {denied});"), script);
        assert!(said.contains("Permission denied: root unauthorized"), "{denied}: {said}");
    }
}
