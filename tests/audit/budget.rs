//! How much of the log anybody may fill, and what stays of it.

use crate::of_kind;
use nix::mount::{MntFlags, umount2};
use nix::unistd::User;
use rex_broker::audit::{Audit, Entry, Event, Log, Reader, Record, verify};
use rex_client::{Broker, EndClass, Ending, Finished, LimitName};
use rex_tests::{Daemon, Settings, is_root, put_in_place_of, scratch, skip, with_private_mounts};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A path that takes much of a record: each backslash is escaped, and that again.
fn long_path() -> String {
    format!("/{}", "\\".repeat(200)).repeat(15)
}

/// Asks for what is denied, and goes on whatever happens.
fn flood() -> String {
    format!("for n in 0..5000 {{ try {{ cat(\"{}\") }} catch {{ }} }}", long_path().replace('\\', "\\\\"))
}

fn with(config: &str) -> Daemon {
    let policy = "forbid(principal, action, resource);".to_owned();
    Daemon::start(&Settings { policy, config: format!("[audit]\n{config}"), ..Settings::default() })
}

/// Runs a script as another user.
fn run_as(daemon: &Daemon, uid: u32, script: &str) -> Finished {
    fs::set_permissions(daemon.folder(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let connect = || {
        // SAFETY: by the bare system call, which takes numbers, it changes this thread and no other.
        let done = unsafe { libc::syscall(libc::SYS_setresuid, -1, uid, -1) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        Broker::connect_to(daemon.socket()).and_then(|broker| broker.run(script)?.wait()).expect("a run")
    };
    std::thread::scope(|scope| scope.spawn(connect).join().expect("its end"))
}

fn is_ended_by_the_limit(ran: &Finished) -> bool {
    matches!(&ran.outcome.ending, Ending::Failed { class: EndClass::Limit(LimitName::Records), message }
        if message.contains("this user's runs"))
}

fn end_of<'a>(records: &'a [Record], run: &str) -> &'a Record {
    of_kind(records, "run-end").find(|end| end.run() == run).expect("its end")
}

#[test]
fn a_run_that_fills_the_log_is_ended_and_its_end_is_recorded() {
    let daemon = with("run_mib = 1\n");
    let ran = daemon.run(&flood());
    assert_eq!(ran.code, 6, "{}", ran.stdout);
    assert!(ran.error().contains("audit log limit") && ran.error().contains("1 MiB"), "{}", ran.stdout);
    let records = daemon.records();
    let start = of_kind(&records, "run-start").next().expect("a start");
    let end = end_of(&records, start.run());
    assert_eq!((end.text("result"), end.text("class")), ("failed", "limit"));
    let before = records.iter().filter(|record| record.run() == start.run()).count() as u64 - 1;
    let bytes = end.number("record_bytes");
    assert_eq!(end.number("records"), before);
    assert!((1 << 20..(1 << 20) + (128 << 10)).contains(&bytes), "{bytes}");
    assert!(verify(daemon.audit_log()).expect("a log").is_whole());
    assert_eq!(daemon.run("1").output(), "1", "another run begins anew");
}

#[test]
fn a_user_whose_runs_fill_the_log_is_refused_and_nobody_else() {
    let nameless = [3_000_000_001, 3_000_000_002];
    let (true, Ok(Some(nobody))) = (is_root(), User::from_name("nobody")) else {
        return skip("other users' runs need root, and a user `nobody`");
    };
    let daemon = with("user_mib = 1\n");
    let ran = run_as(&daemon, nameless[0], &flood());
    assert!(is_ended_by_the_limit(&ran), "{ran:?}");
    let runs = of_kind(&daemon.records(), "run-start").count();
    // Whoever has many numbers without a name has no more by them.
    for uid in nameless {
        let ran = run_as(&daemon, uid, "1");
        assert!(is_ended_by_the_limit(&ran), "{ran:?}");
    }
    assert_eq!(of_kind(&daemon.records(), "run-start").count(), runs, "they have not begun");
    assert_eq!(run_as(&daemon, nobody.uid.as_raw(), "1").output, "1");
    assert_eq!(daemon.run("1").output(), "1");
    assert!(verify(daemon.audit_log()).expect("a log").is_whole());
}

#[test]
fn what_is_long_stands_cut_in_a_record_and_can_be_found_again() {
    let daemon = with("");
    let path = long_path();
    daemon.run(&format!("cat(\"{}\")", path.replace('\\', "\\\\")));
    let records = daemon.records();
    let denied = of_kind(&records, "decision").find(|record| record.text("decision") == "deny").expect("a denial");
    let resource = denied.text("resource");
    // The directory is opened first.
    let directory = path.rsplit_once('/').map(|(directory, _)| directory).expect("a directory");
    let shell = ["-c", "printf %s \"$1\" | sha256sum", "sh", directory];
    let digest = Command::new("sh").args(shell).output().expect("a digest").stdout;
    let digest = String::from_utf8_lossy(&digest).chars().take(64).collect::<String>();
    assert!(resource.contains(&format!("[2814 bytes, SHA-256 {digest}]")), "{resource}");
    assert!(denied.to_json().len() < 8192 && denied.fields().contains_key("masked"), "{}", denied.to_json().len());
}

fn log(folder: &Path, keep: usize) -> Log {
    Log::open(&Audit { directory: folder.to_owned(), rotate_mib: 0, keep, ..Audit::default() }).expect("a log")
}

fn append(log: &mut Log) {
    let event = Event::Violation { message: "it happened" };
    log.append(&[Entry::of_run("0123456789abcdef", "revision", &event)]).expect("a record");
}

/// The numbers of the full files, oldest first.
fn full(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("the directory").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.starts_with("audit-"));
    names.sort_unstable();
    names
}

#[test]
fn as_many_full_files_stay_as_are_kept_and_it_is_told_how_far_back_they_go() {
    for keep in [0, 1, 3] {
        let folder = scratch();
        let mut log = log(folder.path(), keep);
        (0..6).for_each(|_| append(&mut log));
        assert_eq!(full(folder.path()).len(), keep);
        let found = verify(folder.path()).expect("a log");
        assert!(found.is_whole(), "{keep}: {found:#?}");
        assert_eq!(found.removed, found.first - 1);
        assert!(found.removed > 0 && found.removed_early, "{keep}: {found:#?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_keeps_no_other_from_being_removed() {
    let folder = scratch();
    let mut log = log(folder.path(), 2);
    (0..3).for_each(|_| append(&mut log));
    let oldest = full(folder.path()).first().cloned().expect("a full file");
    let kept = full(folder.path()).get(1).cloned().expect("another one");
    fs::write(folder.path().join(&kept), "nonsense\n").expect("another content");
    append(&mut log);
    assert!(!full(folder.path()).contains(&oldest));
    (0..4).for_each(|_| append(&mut log));
    assert_eq!(full(folder.path()).len(), 2);
    assert!(verify(folder.path()).expect("a log").is_whole(), "the damaged one is gone, which is recorded");
}

#[test]
fn files_are_removed_only_after_it_is_recorded() {
    with_private_mounts(|| {
        let folder = scratch();
        let mut log = log(folder.path(), 1);
        (0..2).for_each(|_| append(&mut log));
        let oldest = folder.path().join(full(folder.path()).first().expect("a full file"));
        // What something is mounted on cannot be removed: it is as if all had ended just before that.
        put_in_place_of(&oldest, &oldest);
        append(&mut log);
        assert!(oldest.exists(), "it could not be removed");
        let told = Reader::open(folder.path()).expect("a log").map(|record| record.expect("one"));
        assert_eq!(told.filter(|record| record.kind() == "retired").count(), 1);
        let found = verify(folder.path()).expect("a log");
        assert!(found.is_whole() && found.removed == found.first - 1, "{found:#?}");
        umount2(&oldest, MntFlags::MNT_DETACH).expect("it goes");
        append(&mut log);
        assert!(!oldest.exists(), "the next time it goes");
        assert!(verify(folder.path()).expect("a log").is_whole());
    });
}
