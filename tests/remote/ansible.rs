//! The Ansible collection, by real playbooks over real connections.

use crate::server::{Server, Setup, ssh_options};
use nix::fcntl::{Flock, FlockArg};
use rex_tests::{is_root, skip};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is tested. Debian 12 and 13 have a Python for it.
const ANSIBLE: &str = "ansible-core~=2.19.0";
const POLICY: &str = "
    permit(principal in Group::\"deploy\", action, resource) when { context.session.via == \"ssh\" };
    permit(principal in Group::\"ana\", action, resource) when { context.session.via == \"socket\" };
    @id(\"no-shadow\") forbid(principal, action, resource == file_system::File::\"/etc/shadow\");
    @id(\"a-reason\") forbid(principal, action in [file_system::Action::\"write\", file_system::Action::\"create\"], resource)
    unless { context.session.reason == \"TICKET-17\" };
";

const SCRIPT: &str = r#"
let there = "settings" in ls(folder);
let path = folder + "/settings";
if !there || cat(path) != text {
    write([write::replace], path, text);
}
warn("looked at " + path);
#{ "port": port + 1, "names": names }.to_json()
"#;

const TASKS: &str = r#"
    - name: set
      rex.exec.script: &set
        src: settings.rhai
        reason: TICKET-17
        arguments:
          folder: "/run/data/{{ inventory_hostname }}"
          text: "port = 8080\n# it's \"$HOME\" é\n"
          port: 8080
          names: [a, "b c"]
      register: it
    - ansible.builtin.assert:
        that:
          - it is changed
          - it.rc == 0
          - it.result.port == 8081
          - it.result.names == ["a", "b c"]
          - it.logs[0].level == "WARN"
          - it.logs[0].message is match("looked at /run/data")
          - it.change_count > 0
"#;

const CHECK: &str = r#"
    - ansible.builtin.assert:
        that:
          - it.changes | selectattr("operation", "equalto", "fs.write") | length == 1
          - (it.changes | selectattr("object", "match", "/run/data/.*/settings") | list | length) > 0
"#;

const MORE_TASKS: &str = r##"
    - name: set again
      rex.exec.script: *set
      register: again
    - name: set, with no reason
      rex.exec.script:
        script: write([write::replace], folder + "/other", "x")
        arguments: { folder: "/run/data/{{ inventory_hostname }}" }
      register: without
      ignore_errors: true
    - name: look at what is denied
      rex.exec.script:
        script: cat("/etc/shadow")
      register: denied
      ignore_errors: true
    - name: look, with fewer rights
      rex.exec.script:
        script: cat("/etc/hosts")
        policy: permit(principal, action, resource is file_system::Dir);
      register: narrowed
      ignore_errors: true
    - name: say what is no script
      rex.exec.script:
        script: let
      register: wrong
      ignore_errors: true
    - name: call another program
      rex.exec.script:
        script: "1"
        executable: rex-elsewhere
      register: elsewhere
      ignore_errors: true
    - name: give what has no type
      rex.exec.script:
        script: "1"
        arguments: { none: null }
      register: untyped
      ignore_errors: true
    - name: take long
      rex.exec.script:
        script: loop {}
        timeout: 300ms
      register: long
      ignore_errors: true
    - ansible.builtin.assert:
        that:
          - again is not changed
          - again.changes is not defined
          - denied is failed and denied is not changed
          - denied.rc == 4
          - denied.error_type == "ACCESS_DENIED_EXCEPTION"
          - denied.denied.user == account
          - denied.denied.action == 'file_system::Action::"open"'
          - denied.denied.resource == "file_system::File::/etc/shadow"
          - without is failed and without.rc == 4
          - narrowed is failed and narrowed.rc == 4
          - wrong is failed and wrong.rc == 3
          - elsewhere is failed and "rex-elsewhere" in elsewhere.msg
          - untyped is failed and untyped.rc == 3 and "none" in untyped.msg
          - long is failed and long.rc == 6
"##;

#[test]
fn playbooks_run_scripts_over_a_forced_command_and_over_a_shell() {
    if !is_root() {
        return skip("only root can start an sshd for several accounts");
    }
    let programs = match ansible() {
        Ok(programs) => programs,
        Err(why) => return skip(&format!("there is no Ansible: {why}")),
    };
    Server::with(&Setup { policy: POLICY, forced: "" }, |server| {
        let folder = prepare();
        let (first, shown) = play(&programs, &folder, &[TASKS, CHECK], &["--check", "--diff"]);
        assert!(first, "{shown}{}", server.log());
        for host in ["forced", "shell"] {
            assert!(shown.contains(&format!("/run/data/{host}/settings\n@@ -0,0 +1,2 @@\n+port = 8080\n")), "{shown}");
            assert!(!Path::new(&format!("/run/data/{host}/settings")).exists(), "check mode changes nothing");
        }
        let (second, shown) = play(&programs, &folder, &[TASKS, MORE_TASKS], &[]);
        assert!(second, "{shown}{}", server.log());
        for host in ["forced", "shell"] {
            let written = fs::read_to_string(format!("/run/data/{host}/settings")).expect("a file");
            assert_eq!(written, "port = 8080\n# it's \"$HOME\" é\n");
            assert!(!Path::new(&format!("/run/data/{host}/other")).exists());
        }
    });
}

/// The collection and a script, where Ansible finds them.
fn prepare() -> PathBuf {
    let folder = PathBuf::from("/run/play");
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder");
    fs::create_dir_all(folder.join("ansible_collections/rex")).expect("a folder");
    symlink(project.join("packaging/ansible"), folder.join("ansible_collections/rex/exec")).expect("a link");
    fs::create_dir(folder.join("files")).expect("a folder");
    fs::write(folder.join("files/settings.rhai"), SCRIPT).expect("a script");
    for host in ["forced", "shell"] {
        fs::create_dir_all(format!("/run/data/{host}")).expect("a folder");
    }
    let options = ssh_options("key1").join(" ");
    let host = |name: &str, account: &str, program: &str| {
        format!("{name} ansible_host=127.0.0.1 ansible_user={account} account={account} program={program}\n")
    };
    let hosts = host("forced", "deploy", "rex-exec") + &host("shell", "ana", "/run/bin/rex-exec");
    let inventory = format!("{hosts}[all:vars]\nansible_ssh_common_args={options:?}\n");
    fs::write(folder.join("inventory"), inventory).expect("a file");
    folder
}

/// Whether all of a playbook came out as it says, and what Ansible says of it.
fn play(programs: &Path, folder: &Path, tasks: &[&str], options: &[&str]) -> (bool, String) {
    let defaults = "  module_defaults:\n    rex.exec.script:\n      executable: \"{{ program }}\"\n";
    let book = format!("- hosts: all\n  gather_facts: false\n{defaults}  tasks:\n{}", tasks.concat());
    fs::write(folder.join("book.yml"), book).expect("a playbook");
    let played = Command::new(programs.join("ansible-playbook"))
        .args(["-i", "inventory", "book.yml"])
        .args(options)
        .current_dir(folder)
        .env("HOME", "/run/home/root")
        .env("ANSIBLE_COLLECTIONS_PATH", folder)
        .env("ANSIBLE_SSH_ARGS", "-o ControlMaster=no")
        .env("ANSIBLE_NOCOLOR", "1")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .expect("ansible-playbook starts");
    let said = [played.stdout, played.stderr].concat();
    (played.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// The folder of Ansible's programs. They are installed once, below `target/`.
fn ansible() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansible");
    let programs = folder.join("bin");
    let lock = fs::File::create(folder.with_extension("lock")).map_err(|error| error.to_string())?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno.to_string())?;
    if programs.join("ansible-playbook").is_file() {
        return Ok(programs);
    }
    let _ = fs::remove_dir_all(&folder);
    let quiet = "--quiet --disable-pip-version-check --no-input --retries 1 --timeout 15";
    for command in [
        format!("python3 -m venv {}", folder.display()),
        format!("{} -m pip install {quiet} '{ANSIBLE}'", programs.join("python").display()),
    ] {
        let ran = Command::new("sh").args(["-c", &command]).stdin(Stdio::null()).output();
        let ran = ran.map_err(|error| error.to_string())?;
        if !ran.status.success() {
            let _ = fs::remove_dir_all(&folder);
            return Err(String::from_utf8_lossy(&ran.stderr).trim_end().to_owned());
        }
    }
    Ok(programs)
}
