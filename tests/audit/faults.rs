//! What cannot be recorded is not done.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rex_tests::{Daemon, Disk, Ran, Settings, with_private_mounts};
use std::path::Path;

/// Nothing more was done, and the caller is told why by its exit code.
fn is_unrecorded(ran: &Ran, path: &Path) {
    assert_eq!(ran.code, 9, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.error().contains("could not be recorded"), "{}", ran.stdout);
    assert!(!path.exists(), "it was done all the same");
}

/// A broker whose log is on a disk of its own.
fn on_a_disk(options: &str, test: impl FnOnce(Daemon, Disk) + Send) {
    with_private_mounts(|| {
        let folder = rex_tests::scratch();
        let log = folder.path().join("log.d");
        std::fs::create_dir(&log).expect("a folder");
        let disk = Disk::on(&log, options);
        std::fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a mode");
        test(Daemon::start(&Settings { audit_log: Some(log), ..Settings::default() }), disk);
    });
}

#[test]
fn a_full_disk_stops_operations() {
    on_a_disk("size=256k", |daemon, disk| {
        let fill = disk.path().join("filler");
        let free = vec![0; 1 << 20];
        let _ = std::fs::write(&fill, free);
        // What is left of the log's last page takes some records yet.
        let full = (0..100).any(|_| daemon.run("1").code == 9);
        assert!(full, "{}", daemon.log());
        let path = daemon.folder().join("a");
        let script = format!("try {{ write(\"{}\", \"x\") }} catch {{ }} 1", path.display());
        is_unrecorded(&daemon.run(&script), &path);
        std::fs::remove_file(&fill).expect("it goes");
        assert_eq!(daemon.run("1").code, 0, "with room again, it serves again");
        assert!(rex_broker::audit::verify(daemon.audit_log()).expect("a log").is_whole());
    });
}

#[test]
fn a_disk_that_fills_up_meanwhile_stops_operations() {
    on_a_disk("size=256k", |daemon, _| {
        let folder = daemon.folder().display().to_string();
        // Failures are caught, and yet it does not go on.
        let script = format!("let n = 0; loop {{ n += 1; try {{ write(`{folder}/f${{n}}`, \"x\") }} catch {{ }} }}");
        let ran = daemon.run_with(&script, &["--timeout", "60s"]);
        assert_eq!(ran.code, 9, "{}", ran.stdout);
        let written = std::fs::read_dir(daemon.folder()).expect("a folder").flatten();
        let written = written.filter(|entry| entry.file_name().to_string_lossy().starts_with('f')).count();
        let records = daemon.records();
        let decided = records.iter().filter(|record| record.text("action").ends_with("\"write\"")).count();
        assert!(written <= decided, "{written} were written, {decided} were recorded");
    });
}

#[test]
fn a_disk_that_is_read_only_stops_operations() {
    on_a_disk("size=1m", |daemon, disk| {
        // The broker has its file open, so the disk itself cannot be made read-only any more.
        let (bind, only) = (MsFlags::MS_BIND, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY);
        for flags in [bind, only] {
            mount(Some(disk.path()), disk.path(), None::<&str>, flags, None::<&str>).expect("another mount");
        }
        let path = daemon.folder().join("a");
        is_unrecorded(&daemon.run(&format!("write(\"{}\", \"x\")", path.display())), &path);
        umount2(disk.path(), MntFlags::MNT_DETACH).expect("it goes");
    });
}

#[test]
fn a_directory_that_vanishes_stops_operations() {
    let daemon = Daemon::start(&Settings::default());
    let path = daemon.folder().join("a");
    std::fs::rename(daemon.audit_log(), daemon.folder().join("elsewhere")).expect("it goes");
    is_unrecorded(&daemon.run(&format!("write(\"{}\", \"x\")", path.display())), &path);
    std::fs::create_dir(daemon.audit_log()).expect("an empty one");
    // A new log would tell of nothing that was.
    std::fs::rename(daemon.folder().join("elsewhere/audit.head"), daemon.audit_log().join("audit.head"))
        .expect("its head");
    is_unrecorded(&daemon.run(&format!("write(\"{}\", \"x\")", path.display())), &path);
}

#[test]
fn a_log_that_vanishes_under_a_run_ends_it() {
    let daemon = Daemon::start(&Settings::default());
    let folder = daemon.folder().display().to_string();
    let script = format!(
        "write(\"{folder}/ready\", \"x\");
         loop {{ try {{ cat(\"{folder}/gone\"); write(\"{folder}/after\", \"x\"); break; }} catch {{ }} }}"
    );
    let ran = std::thread::scope(|scope| {
        let run = scope.spawn(|| daemon.run(&script));
        daemon.until("it runs", |daemon| daemon.folder().join("ready").exists());
        std::fs::remove_dir_all(daemon.audit_log()).expect("it goes");
        std::fs::write(daemon.folder().join("gone"), "x").expect("a sign");
        run.join().expect("its end")
    });
    is_unrecorded(&ran, &daemon.folder().join("after"));
}
