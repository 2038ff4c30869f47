//! Hosts and places on which the broker cannot be: it says so in one line, and never serves with less.

use crate::{refused, refused_under};
use rex_tests::{Disk, is_root, programs, skip, with_private_mounts};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    if !is_root() {
        return skip("only root can mount");
    }
    with_private_mounts(|| {
        let folder = rex_tests::scratch();
        let disk = Disk::on(folder.path(), "size=1m");
        std::fs::create_dir(disk.path().join("log.d")).expect("a folder");
        disk.make_read_only();
        let place = |name: &str| disk.path().join(name).to_str().expect("UTF-8").to_owned();
        for (option, name) in
            [("--socket", "s"), ("--socket", "new/s"), ("--audit-log", "log.d"), ("--audit-log", "new.d")]
        {
            let said = refused(&[option, &place(name)], |_| {});
            assert!(
                said.contains(&place("")) && said.contains("Read-only file system; it needs a directory"),
                "{said}"
            );
        }
        let said = refused(&["--config", "broker.toml"], |folder| {
            std::fs::write(folder.join("broker.toml"), format!("metrics = {:?}", place("m"))).expect("a file");
        });
        assert!(said.contains("Read-only file system; it needs a directory"), "{said}");
    });
}

#[test]
fn a_place_that_is_not_there_is_named() {
    for (option, says) in [
        ("--socket", "cannot listen on `/nowhere/below/x`: No such file or directory; it needs a directory"),
        ("--audit-log", "cannot make the directory `/nowhere/below/x` of the audit log: No such file or directory; it"),
        (
            "--policies",
            "cannot open the policy store `/nowhere/below/x`: No such file or directory; it has to be a dir",
        ),
    ] {
        let said = refused(&[option, "/nowhere/below/x"], |_| {});
        assert!(said.contains(says), "{said}");
    }
    let said = refused(&["--config", "broker.toml"], |folder| {
        std::fs::write(folder.join("broker.toml"), "worker = \"/nowhere/x\"").expect("a file");
    });
    assert!(
        said.contains("cannot open the worker's program `/nowhere/x`: No such file or directory; install"),
        "{said}"
    );
}

#[test]
fn a_limit_that_nothing_can_hold_is_refused() {
    for (text, says) in [
        ("cpu_percent = 50", "cannot hold runs to `cpu_percent`, which needs control groups: "),
        ("cpu_percent = 50\ncgroups = \"off\"", "`cpu_percent` needs control groups, and `cgroups` is \"off\""),
    ] {
        let said = refused(&["--config", "broker.toml"], |folder| {
            std::fs::write(folder.join("broker.toml"), text).expect("a file");
        });
        assert!(said.contains(says), "{said}");
    }
}

/// What a kernel may lack or refuse that no worker is without.
const NEEDED: [(&str, libc::c_long, &str); 3] = [
    ("landlock", libc::SYS_landlock_create_ruleset, "landlock"),
    ("seccomp", libc::SYS_seccomp, "seal"),
    ("openat2", libc::SYS_openat2, "openat2"),
];

#[test]
fn a_kernel_without_a_wall_is_refused_and_never_served_on_with_less() {
    for (what, number, says) in NEEDED {
        // A kernel that does not have it, and one that does not let it.
        for errno in [libc::ENOSYS, libc::EPERM] {
            let said = refused_under(|command| without(command, number, errno), &[], |_| {});
            assert!(said.contains(says), "{what}: {said}");
            let folder = tempfile::tempdir().expect("a temporary folder");
            let run = |program: &str, arguments: &[&str]| {
                let mut command = Command::new(programs().join(program));
                without(command.args(arguments).current_dir(folder.path()), number, errno);
                let done = command.stdin(Stdio::null()).output().expect("the program starts");
                let said = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
                (done.status.code(), said)
            };
            let looked = run("rex-broker", &["doctor", "--policies", "."]);
            assert_eq!(looked.0, Some(1), "{what}: {}", looked.1);
            let missing = looked.1.lines().any(|line| line.starts_with("missing") && line.contains(what));
            assert!(missing && looked.1.ends_with("Rex refuses to run here.\n"), "{what}: {}", looked.1);
            std::fs::write(folder.path().join("p.cedar"), "permit(principal, action, resource);").expect("a policy");
            std::fs::write(folder.path().join("s.rhai"), "40 + 2").expect("a script");
            let options = ["--standalone", "--policy-file", "p.cedar", "s.rhai"];
            let ran = run("rex-exec", &options);
            assert_eq!(ran.0, Some(8), "{what}: {}", ran.1);
        }
    }
}

/// Has the kernel answer this system call so, for the command and all that comes of it.
fn without(command: &mut Command, number: libc::c_long, errno: i32) {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const IS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const ANSWER: u32 = libc::BPF_RET | libc::BPF_K;
    let step =
        |code: u32, jf: u8, k: u32| libc::sock_filter { code: u16::try_from(code).expect("a code"), jt: 0, jf, k };
    let number = u32::try_from(number).expect("a number");
    let answer = libc::SECCOMP_RET_ERRNO | u32::try_from(errno).expect("an error");
    // The number of the call is what stands first in its data (seccomp(2)).
    let filter =
        [step(LOAD, 0, 0), step(IS, 1, number), step(ANSWER, 0, answer), step(ANSWER, 0, libc::SECCOMP_RET_ALLOW)];
    let install = move || {
        let mut filter = filter;
        let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
        nix::sys::prctl::set_no_new_privs()?;
        // SAFETY: the kernel copies the program, which is as long as it says.
        match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: it makes two system calls.
    unsafe { command.pre_exec(install) };
}
