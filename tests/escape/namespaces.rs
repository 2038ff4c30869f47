//! Namespaces that an attacker controls: what a session finds there is what a script asked for, and nothing of its own.

use rex_client::process::{EnterNamespaces, ListProcesses};
use rex_client::{Broker, CallError};
use rex_tests::{Daemon, Settings, is_root, scratch, skip};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process in namespaces of its own, in which a shell has prepared what it finds.
struct Inside(Child);

impl Inside {
    fn new(folder: &Path, prepare: &str) -> Self {
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--net", "sh", "-ec"])
            .arg(prepare)
            .current_dir(folder)
            .stdin(Stdio::null())
            .spawn()
            .expect("`unshare` starts");
        let end = Instant::now() + Duration::from_secs(10);
        while !folder.join("ready").exists() {
            assert!(Instant::now() < end, "the namespace is not prepared");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn namespaces_are_left_in_the_reverse_order() {
    if !is_root() {
        return skip("only root enters namespaces");
    }
    let folder = scratch();
    let inside = Inside::new(folder.path(), "touch ready; exec sleep 60");
    let daemon = Daemon::start(&Settings::default());
    let enter = || EnterNamespaces { pid: inside.pid(), mount: true, net: true };
    let session = Broker::connect_to(daemon.socket()).expect("the broker listens").session().expect("a session");
    let outer = session.hold(session.call(&enter()).expect("it is entered"));
    let inner = session.hold(session.call(&enter()).expect("it is entered"));
    drop(outer);
    let ended = session.call(&ListProcesses::default()).expect_err("the session has ended");
    assert!(matches!(ended, CallError::Ended(_)), "{ended}");
    assert!(ended.to_string().contains("left a namespace before"), "{ended}");
    drop(inner);
    daemon.until("nothing is left", Daemon::is_idle);
}

/// Who controls a namespace decides what `/etc/nsswitch.conf` and the libraries that it names are: a session that looked up a
/// user by them would run their code.
#[test]
fn nothing_of_the_sessions_own_is_taken_from_there() {
    if !is_root() {
        return skip("only root enters namespaces");
    }
    let folder = scratch();
    let prepare = "mkdir etc && for file in nsswitch.conf passwd group; do echo 'passwd: evil' > etc/$file; done
        mount -t tmpfs none /usr/sbin && mount --bind etc /etc && touch ready; exec /bin/sleep 60";
    let inside = Inside::new(folder.path(), prepare);
    // Owners are looked up for such a policy.
    let policy = "permit(principal, action, resource);
        forbid(principal, action, resource is file_system::File) when { resource has owner && resource.owner != \"root\" };";
    let daemon = Daemon::start(&Settings { policy: policy.into(), ..Settings::default() });
    let script = format!(
        "let m = ProcessManager();
         m.nsenter(NamespaceOptions().pid({}).mount(true).net(true).build(), || [
             ProcessManager().processes().filter(|p| p.pid == 1)[0].username,
             cat(\"/etc/nsswitch.conf\"),
             DirConfig().path(\"/etc\").build().open(OpenDirOptions().build())
                 .open_file(\"passwd\", OpenFileOptions().read(true).build()).get_ownership().user,
         ])",
        inside.pid()
    );
    let ran = daemon.run(&script);
    assert_eq!(ran.output(), r#"["root", "passwd: evil\n", "root"]"#, "{}", ran.stdout);
    assert_eq!(daemon.run("hostname().len() > 0").output(), "true");
}

#[test]
fn no_link_leads_out_of_a_root_directory() {
    if !is_root() {
        return skip("only root enters namespaces");
    }
    let folder = scratch();
    let prepare = "mkdir -p new/usr new/etc && for name in bin lib lib64; do ln -s usr/$name new/$name; done
        mount --rbind /usr new/usr && echo inside > new/etc/passwd && ln -s /etc/passwd new/link
        ln -s ../../../../../etc/passwd new/up && touch ready; exec chroot new sleep 60";
    let inside = Inside::new(folder.path(), prepare);
    let daemon = Daemon::start(&Settings::default());
    let script = format!(
        "let r = [];
         ProcessManager().nsenter(NamespaceOptions().pid({}).mount(true).build(), || {{
             for name in [\"link\", \"up\", \"etc/passwd\"] {{
                 try {{ r += cat(\"/\" + name); }} catch (e) {{ r += \"refused\"; }}
             }}
             try {{
                 r += DirConfig().path(\"/\").build().open(OpenDirOptions().build())
                     .open_file(\"link\", OpenFileOptions().read(true).follow_symlinks(true).build()).read();
             }} catch (e) {{ r += \"refused\"; }}
         }});
         r",
        inside.pid()
    );
    // `chroot` takes a moment.
    let end = Instant::now() + Duration::from_secs(10);
    let root = format!("/proc/{}/root", inside.pid());
    while std::fs::read_link(&root).is_ok_and(|root| root == Path::new("/")) {
        assert!(Instant::now() < end, "it does not change its root directory");
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran = daemon.run(&script);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert!(!ran.output().contains("root:"), "{}", ran.output());
    assert!(ran.output().contains("inside") || ran.output().contains("refused"), "{}", ran.output());
}

#[test]
fn a_run_that_ends_inside_leaves_nothing() {
    if !is_root() {
        return skip("only root enters namespaces");
    }
    let folder = scratch();
    let inside = Inside::new(folder.path(), "touch ready; exec sleep 60");
    let daemon = Daemon::start(&Settings::default());
    let enter =
        format!("ProcessManager().nsenter(NamespaceOptions().pid({}).mount(true).net(true).build(), || ", inside.pid());
    let endless = daemon.run_with(&format!("{enter} {{ loop {{ }} }})"), &["--timeout", "500ms"]);
    assert!(endless.error().contains("time limit"), "{}", endless.stdout);
    let deep = daemon.run(&format!("fn go(n) {{ {enter} go(n + 1)) }} go(0)"));
    assert_ne!(deep.code, 0, "{}", deep.stdout);
    daemon.until("nothing is left", Daemon::is_idle);
    assert_eq!(daemon.run("1").output(), "1");
}

/// Through `mem` a script could write into its own session.
#[test]
fn the_sessions_own_files_are_not_reached_by_another_path() {
    if !is_root() {
        return skip("only root enters namespaces");
    }
    let folder = scratch();
    let inside = Inside::new(folder.path(), "mkdir all && mount --bind /proc all && touch ready; exec sleep 60");
    let daemon = Daemon::start(&Settings::default());
    let script = format!(
        "fn mem(dir) {{
             try {{ dir.open_file(\"mem\", OpenFileOptions().read(true).write(true).build()); return 1; }} catch {{ return 0; }}
         }}
         fn at(path) {{ DirConfig().path(path).build().open(OpenDirOptions().follow_symlinks(true).build()) }}
         let reached = 0;
         let seen = false;
         let all = ProcessManager().nsenter(NamespaceOptions().pid({}).mount(true).build(), || {{
             for name in [\"self\", \"thread-self\"] {{
                 try {{ reached += mem(at(\"{folder}/all/\" + name)); }} catch {{}}
             }}
             seen = cat(\"{folder}/all/uptime\").len() > 0;
             at(\"{folder}/all\")
         }});
         let brokers = 0;
         for process in ProcessManager().processes() {{
             if process.name != \"rex-broker\" {{ continue; }}
             brokers += 1;
             let entries = all.list_entries();
             let pid = process.pid.to_string();
             if pid in entries {{
                 try {{ reached += mem(entries[pid].open_as_dir(OpenDirOptions().build())); }} catch {{}}
             }}
         }}
         [reached, brokers > 0, seen]",
        inside.pid(),
        folder = folder.path().display()
    );
    let ran = daemon.run(&script);
    assert_eq!(ran.output(), "[0, true, true]", "{}", ran.stdout);
}

/// In a user namespace of its own an ordinary user makes a mount namespace, and binds any file that it sees to any path.
#[test]
fn what_an_ordinary_user_can_make_is_not_looked_into_with_roots_rights() {
    if !is_root() {
        return skip("only root enters namespaces");
    }
    let folder = scratch();
    std::fs::write(folder.path().join("hidden"), "secret").expect("a file");
    let prepare = "exec unshare --user --map-root-user --mount sh -ec \
        'mkdir -p at && touch at/permitted && mount --bind hidden at/permitted && touch ready; exec sleep 60'";
    let inside = Inside::new(folder.path(), prepare);
    let daemon = Daemon::start(&Settings::default());
    let script = format!(
        "let r = \"\";
         try {{
             ProcessManager().nsenter(NamespaceOptions().pid({}).mount(true).build(), || {{ r = cat(\"{}/at/permitted\"); }});
         }} catch (e) {{ r = e.kind.to_string(); }}
         r",
        inside.pid(),
        folder.path().display()
    );
    let ran = daemon.run(&script);
    assert_eq!(ran.output(), "NamespaceOperationError", "{}", ran.stdout);
}
