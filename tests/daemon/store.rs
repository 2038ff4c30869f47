//! The store while a broker runs: what is put in force, what is not, and who notices.

use rex_broker::config::Config;
use rex_broker::store::Store;
use rex_tests::{Daemon, Settings, is_root, scratch, skip};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

/// What everything is allowed by.
const GOOD: &str = "@id(\"good\") permit(principal, action, resource);\n";
/// A script that asks for something.
const ASK: &str = "hostname().len() > 0";

fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    fs::write(path, text).expect("a file");
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
}

/// The folder's store as it was in the beginning.
fn restore(folder: &Path) {
    let policies = folder.join("policies.d");
    match fs::symlink_metadata(&policies) {
        Ok(found) if found.is_symlink() => fs::remove_file(&policies).expect("the link goes"),
        Ok(_) => fs::remove_dir_all(&policies).expect("the folder goes"),
        Err(_) => {}
    }
    for name in ["entities.json", "allowed_signers", "elsewhere"] {
        let path = folder.join(name);
        if path.is_dir() { fs::remove_dir_all(path).expect("it goes") } else { drop(fs::remove_file(path)) }
    }
    fs::create_dir(&policies).expect("a folder");
    write(policies.join("test.cedar"), GOOD);
}

/// The revision that the latest run stood under.
fn revision(daemon: &Daemon) -> String {
    let records = daemon.records();
    let start = records.iter().rfind(|record| record.kind() == "run-start").expect("a run");
    start.text("revision").to_owned()
}

/// What puts a fault into a store, given its folder; the name of the file that messages tell, and a part of the reason.
type Faulty = (&'static str, &'static str, fn(&Path));

/// The faults of a store. In each the first file, were it in force, would allow nothing.
const FAULTS: &[Faulty] = &[
    ("b.cedar", "does not parse", |folder| write(folder.join("policies.d/b.cedar"), &GOOD[..20])),
    ("test.cedar", "does not parse", |folder| write(folder.join("policies.d/test.cedar"), "permit(")),
    ("b.cedar", "Robot", |folder| {
        write(folder.join("policies.d/b.cedar"), "permit(principal is Robot, action, resource);")
    }),
    ("b.cedar", "UTF-8", |folder| {
        write(folder.join("policies.d/b.cedar"), b"permit(principal, action, resource); // \xff")
    }),
    ("b.cedar", "it is a link", |folder| {
        write(folder.join("elsewhere"), GOOD);
        symlink("../elsewhere", folder.join("policies.d/b.cedar")).expect("a link");
    }),
    ("b.cedar", "it is a link", |folder| symlink("nowhere", folder.join("policies.d/b.cedar")).expect("a link")),
    ("b.cedar", "lets others write", |folder| {
        write(folder.join("policies.d/b.cedar"), GOOD);
        set_mode(folder.join("policies.d/b.cedar"), 0o664);
    }),
    ("b.cedar", "lets others write", |folder| {
        write(folder.join("policies.d/b.cedar"), GOOD);
        set_mode(folder.join("policies.d/b.cedar"), 0o646);
    }),
    ("policies.d", "lets others write", |folder| set_mode(folder.join("policies.d"), 0o775)),
    ("b.cedar", "not a regular file", |folder| fs::create_dir(folder.join("policies.d/b.cedar")).expect("a folder")),
    ("b.cedar", "not a regular file", |folder| {
        nix::unistd::mkfifo(&folder.join("policies.d/b.cedar"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    }),
    ("policies.d", "No such file", |folder| {
        fs::rename(folder.join("policies.d"), folder.join("elsewhere")).expect("a move")
    }),
    ("policies.d", "ot a directory", |folder| {
        fs::rename(folder.join("policies.d"), folder.join("elsewhere")).expect("a move");
        symlink("elsewhere", folder.join("policies.d")).expect("a link");
    }),
    ("b.cedar", "the id `one` too", |folder| {
        write(folder.join("policies.d/a.cedar"), "@id(\"one\") permit(principal, action, resource);");
        write(folder.join("policies.d/b.cedar"), "@id(\"one\") forbid(principal, action, resource);");
    }),
    ("b.test.toml", "expected allow, found deny", |folder| {
        let test =
            "[[test]]\nname = \"n\"\nuser = \"ana\"\naction = \"read\"\nresource = 'file_system::File::\"/a\"'\n";
        write(folder.join("policies.d/b.test.toml"), format!("{test}expect = \"allow\"\n"));
    }),
    ("b.test.toml", "expect", |folder| write(folder.join("policies.d/b.test.toml"), "[[test]]\nname = \"n\"\n")),
    ("b.test.toml", "lets others write", |folder| {
        write(folder.join("policies.d/b.test.toml"), "");
        set_mode(folder.join("policies.d/b.test.toml"), 0o662);
    }),
    ("entities.json", "no list", |folder| write(folder.join("entities.json"), "[{\"uid\": {\"type\": \"User\"")),
    ("entities.json", "only `parents`", |folder| {
        let text = r#"[{"uid": {"type": "User", "id": "ana"}, "attrs": {"uid": 0}}]"#;
        write(folder.join("entities.json"), text);
    }),
    ("entities.json", "it is a link", |folder| symlink("elsewhere", folder.join("entities.json")).expect("a link")),
    ("entities.json", "lets others write", |folder| {
        write(folder.join("entities.json"), "[]");
        set_mode(folder.join("entities.json"), 0o664);
    }),
    ("allowed_signers", "line 2", |folder| write(folder.join("allowed_signers"), "# keys\nrelease ssh-ed25519\n")),
    ("allowed_signers", "not a regular file", |folder| {
        fs::create_dir(folder.join("allowed_signers")).expect("a folder")
    }),
    ("allowed_signers", "lets others write", |folder| {
        write(folder.join("allowed_signers"), "");
        set_mode(folder.join("allowed_signers"), 0o666);
    }),
];

/// Has a broker load a store with a fault: it is told everywhere, and the last good store goes on.
fn is_refused(daemon: &Daemon, named: &str, reason: &str) {
    let before = daemon.log().matches("the policies in force stay").count();
    let reload = daemon.policy(&["reload"]);
    assert_eq!(reload.code, 1, "{named}, {reason}: {reload:?}");
    let told = |text: &str| text.contains(named) && text.contains(reason);
    assert!(told(&reload.stderr) && reload.stderr.contains("the policies in force stay"), "{named}: {}", reload.stderr);
    assert!(!reload.stderr.contains("panicked"), "{}", reload.stderr);
    let log = daemon.log();
    assert_eq!(log.matches("the policies in force stay").count(), before + 1, "{named}, {reason}: {log}");
    assert!(log.lines().last().is_some_and(|line| line.contains("ERROR")) && told(&log), "{named}, {reason}: {log}");
    let records = daemon.records();
    let load = records.iter().rfind(|record| record.kind() == "policy-load").expect("a record");
    assert!(load.text("result") == "refused" && told(load.text("message")), "{named}: {}", load.to_json());
    assert_eq!(daemon.run(ASK).output(), "true", "{named}, {reason}");
}

#[test]
fn a_fault_leaves_the_last_good_store_and_is_told_everywhere() {
    let daemon = Daemon::start(&Settings { policy: GOOD.into(), ..Settings::default() });
    assert_eq!(daemon.run(ASK).output(), "true");
    let good = revision(&daemon);
    for (named, reason, prepare) in FAULTS {
        restore(daemon.folder());
        write(daemon.folder().join("policies.d/test.cedar"), "");
        prepare(daemon.folder());
        is_refused(&daemon, named, reason);
        assert_eq!(revision(&daemon), good, "{named}, {reason}");
    }
    // What is put right is in force at once.
    restore(daemon.folder());
    let reload = daemon.policy(&["reload"]);
    assert_eq!((reload.code, reload.stderr.as_str()), (0, ""), "{reload:?}");
    assert!(reload.stdout.contains(&good) && reload.stdout.contains("as before"), "{}", reload.stdout);
    write(daemon.folder().join("policies.d/test.cedar"), "");
    assert_eq!(daemon.policy(&["reload"]).code, 0);
    assert_eq!(daemon.run(ASK).code, 4);
    assert_ne!(revision(&daemon), good);
}

#[test]
fn a_file_that_cannot_be_read_or_belongs_to_another_leaves_the_last_good_store() {
    let daemon = Daemon::start(&Settings { policy: GOOD.into(), ..Settings::default() });
    let names = ["policies.d/b.cedar", "policies.d/b.test.toml", "entities.json", "allowed_signers"];
    for name in names {
        let path = daemon.folder().join(name);
        write(&path, if name == "entities.json" { "[]" } else { "" });
        let last = name.rsplit('/').next().unwrap_or(name);
        if is_root() {
            chown(&path, Some(1), None).expect("another owner");
            is_refused(&daemon, last, "belongs to uid 1");
        } else {
            set_mode(&path, 0);
            is_refused(&daemon, last, "Permission denied");
        }
        restore(daemon.folder());
    }
}

#[test]
fn what_somebody_is_writing_is_not_put_in_force() {
    let daemon = Daemon::start(&Settings { policy: GOOD.into(), ..Settings::default() });
    // What stands there so far would be whole, but for what is to come.
    let policies = daemon.folder().join("policies.d");
    for (name, first, rest) in [
        ("policies.d/test.cedar", "", "forbid(principal, action, resource);"),
        ("policies.d/b.cedar", GOOD, "forbid(principal, action, resource);"),
        ("entities.json", "[]", "\n"),
        ("allowed_signers", "", "# nobody\n"),
    ] {
        let path = daemon.folder().join(name);
        let mut file = fs::File::create(&path).expect("a file");
        std::io::Write::write_all(&mut file, first.as_bytes()).expect("a part");
        if nix::sys::statfs::statfs(&policies).is_ok_and(|at| at.filesystem_type() == nix::sys::statfs::NFS_SUPER_MAGIC)
        {
            return skip("the file system knows no leases");
        }
        is_refused(&daemon, name.rsplit('/').next().unwrap_or(name), "somebody has it open");
        std::io::Write::write_all(&mut file, rest.as_bytes()).expect("the rest");
        drop(file);
        fs::remove_file(&path).expect("it goes");
        write(policies.join("test.cedar"), GOOD);
        assert_eq!(daemon.policy(&["reload"]).code, 0, "{name}");
    }
}

#[test]
fn wherever_a_file_is_cut_off_only_whole_policies_are_taken() {
    let folder = scratch();
    let path = folder.path().join("a.cedar");
    let nowhere = folder.path().join("nowhere");
    let config = Config {
        policies: folder.path().to_owned(),
        entities: nowhere.clone(),
        allowed_signers: nowhere,
        ..Config::default()
    };
    let first = "@id(\"a\") permit(principal, action, resource);";
    let both =
        format!("{first}\n@id(\"b\") forbid(principal, action, resource) when {{ context.session.deleted > 1 }};");
    let mut whole = Vec::new();
    for end in 0..=both.len() {
        write(&path, &both[..end]);
        match Store::load(&config) {
            Ok(store) => whole.push((end, store.policies.own())),
            Err(error) => assert!(error.to_string().contains("a.cedar:"), "{end}: {error}"),
        }
    }
    // Nothing at all, the first one with and without its line's end, and both.
    assert_eq!(whole, [(0, 0), (first.len(), 1), (first.len() + 1, 1), (both.len(), 2)]);
}

#[test]
fn a_run_keeps_the_store_that_it_began_with() {
    let daemon = Daemon::start(&Settings { policy: GOOD.into(), ..Settings::default() });
    let (folder, go) = (daemon.folder().display().to_string(), daemon.folder().join("go"));
    let script = format!(
        "write(\"{folder}/begun\", \"\");
         let seen = false;
         for round in 0..1000 {{ if \"go\" in ls(\"{folder}\") {{ seen = true; break; }} sleep(0.02); }}
         write(\"{folder}/after\", \"x\");
         seen"
    );
    let ran = std::thread::scope(|scope| {
        let run = scope.spawn(|| daemon.run(&script));
        daemon.until("the run has begun", |daemon| daemon.folder().join("begun").exists());
        write(daemon.folder().join("policies.d/test.cedar"), "");
        assert_eq!(daemon.policy(&["reload"]).code, 0);
        assert_eq!(daemon.run(ASK).code, 4, "the new store is in force for others");
        write(&go, "");
        run.join().expect("a run")
    });
    assert_eq!((ran.code, ran.output()), (0, "true"), "{}", ran.stdout);
    assert!(daemon.folder().join("after").exists());
    let records = daemon.records();
    let start = records.iter().find(|record| record.kind() == "run-start").expect("a run");
    let of_run: Vec<_> = records.iter().filter(|record| record.run() == start.run()).collect();
    let load = records.iter().find(|record| record.kind() == "policy-load").expect("a record");
    assert!(of_run.iter().any(|record| record.seq() > load.seq()), "it went on after the load");
    assert!(of_run.iter().all(|record| record.text("revision") == start.text("revision")));
    assert_ne!(load.text("revision"), start.text("revision"));
}

#[test]
fn groups_beyond_the_systems_come_from_a_file() {
    let name = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("a user database").expect("a name").name;
    let policy = r#"permit(principal in Group::"oncall", action == sysinfo::Action::"list", resource);
        permit(principal, action == systemd::Action::"status", resource in systemd::ServiceGroup::"web");"#;
    let daemon = Daemon::start(&Settings { policy: policy.into(), ..Settings::default() });
    assert_eq!(daemon.run(ASK).code, 4);
    let member = |group: &str| {
        format!(
            r#"[{{"uid": {{"type": "User", "id": {name:?}}}, "parents": [{{"type": "Group", "id": {group:?}}}]}},
                {{"uid": {{"type": "Group", "id": "first"}}, "parents": [{{"type": "Group", "id": "oncall"}}]}},
                {{"uid": {{"type": "systemd::Service", "id": "nginx.service"}},
                  "parents": [{{"type": "systemd::ServiceGroup", "id": "web"}}]}}]"#
        )
    };
    for (group, code) in [("oncall", 0), ("first", 0), ("last", 4)] {
        write(daemon.folder().join("entities.json"), member(group));
        assert_eq!(daemon.policy(&["reload"]).code, 0);
        assert_eq!(daemon.run(ASK).code, code, "{group}");
    }
    let decision = |unit: &str| {
        let resource = format!("systemd::Service::\"{unit}\"");
        daemon.policy(&["-o", "json", "explain", "status", &resource]).result["decision"].clone()
    };
    assert_eq!((decision("nginx.service"), decision("ssh.service")), ("allow".into(), "deny".into()));
}

#[test]
fn only_root_has_policies_loaded() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let daemon = Daemon::start(&Settings::default());
    crate::for_everybody(daemon.folder());
    let reload = crate::command_as_nobody(daemon.folder(), "rex-policy", &["reload", "--socket", "broker.sock"]);
    let reload = rex_tests::Ran::of(&reload);
    assert_eq!(reload.code, 3, "{reload:?}");
    assert!(reload.stderr.contains("only root"), "{}", reload.stderr);
    assert!(!daemon.log().contains("anew"), "{}", daemon.log());
}

#[test]
fn a_reload_without_a_broker_says_so() {
    let daemon = Daemon::start(&Settings::default());
    let reload = daemon.policy(&["reload", "--socket", "/nonexistent/broker.sock"]);
    assert_eq!(reload.code, 3, "{reload:?}");
    assert!(reload.stderr.contains("/nonexistent/broker.sock"), "{}", reload.stderr);
}
