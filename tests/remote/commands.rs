//! What the other end may ask for, and what not.

use crate::server::{REX_EXEC, Server, Setup, said};
use rex_tests::Ran;

/// Whoever comes by SSH and by the first key may do everything but read one file.
const POLICY: &str = "
    permit(principal in Group::\"deploy\", action, resource)
    when { context.session.via == \"ssh\" && context.session.ssh_key == \"KEY1\" && context.session.tty == \"\" };
    permit(principal in Group::\"ci\", action, resource) when { context.session.via == \"ssh\" };
    @id(\"no-shadow\") forbid(principal, action, resource == file_system::File::\"/etc/shadow\");
";

fn setup(forced: &'static str) -> Setup {
    Setup { policy: POLICY, forced }
}

#[test]
fn a_script_comes_on_standard_input_and_its_end_goes_back() {
    Server::with(&setup("restrict,command=\"/run/bin/rex-exec --ssh\""), |server| {
        for account in ["deploy", "ci"] {
            let ran = server.ssh(account, "", "hostname().len() > 0");
            assert_eq!(said(&ran), ("true".into(), String::new()), "{account}: {}", server.log());
            assert_eq!(ran.status.code(), Some(0));
            let ran = server.ssh(account, "rex-exec - 'a=x  $HOME' --arg-json n='[1, 2]'", "`${a} ${n.len()}`");
            assert_eq!(said(&ran), ("x  $HOME 2".into(), String::new()), "{account}");
            let denied = server.ssh(account, "", "cat(\"/etc/shadow\")");
            assert_eq!(denied.status.code(), Some(4), "{denied:?}");
            assert!(said(&denied).1.contains("/etc/shadow"), "{denied:?}");
            assert_eq!(server.ssh(account, "", "let").status.code(), Some(3), "it does not compile");
            let failed = Ran::of(&server.ssh(account, "rex-exec -o json", "throw \"no\""));
            assert_eq!((failed.code, failed.result["status"].as_str()), (1, Some("ERROR")));
        }
        let key = &server.fingerprints[0];
        let starts = server.daemon.records();
        let starts: Vec<_> = starts.iter().filter(|record| record.kind() == "run-start").collect();
        let ways: Vec<_> =
            starts.iter().map(|start| (start.text("user"), start.text("via"), start.text("ssh_key"))).collect();
        assert!(ways.contains(&("deploy", "ssh", key)) && ways.contains(&("ci", "ssh", key)), "{ways:?}");
        assert!(ways.iter().all(|(_, via, key)| *via == "ssh" && !key.is_empty()), "{ways:?}");
    });
}

#[test]
fn a_bundle_brings_arguments_and_a_narrower_policy() {
    Server::with(&setup(""), |server| {
        let bundle = serde_json::json!({
            "script": "`${n + 1} ${hostname().len() > 0}`",
            "arguments": {"n": 41},
        });
        let ran = server.ssh("deploy", "rex-exec --bundle", &bundle.to_string());
        assert_eq!(said(&ran), ("42 true".into(), String::new()));
        let mut narrowed = bundle;
        narrowed["policy"] = "permit(principal, action, resource is file_system::File);".into();
        let ran = server.ssh("deploy", "rex-exec --bundle -", &narrowed.to_string());
        assert_eq!(ran.status.code(), Some(4), "{ran:?}");
    });
}

#[test]
fn policy_tells_keys_of_one_account_apart() {
    Server::with(&setup(""), |server| {
        for (key, code) in [("key1", 0), ("key2", 4)] {
            let script = std::fs::File::open("/run/script").or_else(|_| {
                std::fs::write("/run/script", "hostname().len() > 0").and_then(|()| std::fs::File::open("/run/script"))
            });
            let ran = server.client(key, "deploy", &[]).stdin(script.expect("a script")).output().expect("ssh starts");
            assert_eq!(ran.status.code(), Some(code), "{key}: {ran:?}");
        }
    });
}

#[test]
fn nothing_but_scripts_can_be_asked_for() {
    Server::with(&setup("restrict,command=\"/run/bin/rex-exec --ssh\""), |server| {
        // One connection for all of them.
        let master = ["-o", "ControlMaster=auto", "-o", "ControlPath=/run/ssh/%r", "-o", "ControlPersist=2"];
        for account in ["deploy", "ci"] {
            for (command, names) in [
                ("sh -c 'touch /run/home/it'", "`sh`"),
                ("rex-exec --policy-file /etc/passwd -", "--policy-file"),
                ("rex-exec -s /etc/passwd", "--script-file"),
                ("rex-exec /etc/passwd", "/etc/passwd"),
                ("rex-exec - -a /etc/passwd", "--script-arguments-file"),
                ("rex-exec - --signature /etc/passwd", "--signature"),
                ("rex-exec - --socket /run/ssh/other", "--socket"),
                ("rex-exec - --ssh", "--ssh"),
                ("rex-exec - --standalone -p /etc/passwd", "--"),
                ("rex-exec - a=1; touch it", "touch"),
                ("rex-exec - $(touch it)", "$(touch"),
                ("rex-exec - `touch it` | touch it", "`touch"),
                ("rex-exec - 'a=b", "quote"),
                ("rex-exec - a=1 a=2", "twice"),
                ("\n touch it", "`touch`"),
            ] {
                let ran = server.ssh_with(account, &master, &[command], "1");
                let (output, error) = said(&ran);
                assert_eq!(ran.status.code(), Some(2), "{command}: {ran:?}");
                assert!(
                    output.is_empty() && error.starts_with("error: ") && error.contains(names),
                    "{command}: {error}"
                );
            }
            let subsystem = server.ssh_with(account, &[&master[..], &["-s"]].concat(), &["sftp"], "");
            assert_ne!(subsystem.status.code(), Some(0), "{subsystem:?}");
            assert_eq!(std::fs::read_dir(format!("/run/home/{account}")).expect("a folder").count(), 0);
        }
        assert!(!server.daemon.records().iter().any(|record| record.kind() == "run-start"));
    });
}

#[test]
fn a_terminal_gets_a_word_of_what_is_meant() {
    Server::with(&setup(""), |server| {
        let ran = server.ssh_with("deploy", &["-tt"], &[], "");
        let (output, _) = said(&ran);
        assert!(output.contains("this account has no shell") && output.contains("SCRIPT"), "{output}");
        assert_eq!(ran.status.code(), Some(2));
    });
}

#[test]
fn what_the_forced_command_says_holds() {
    let forced = "restrict,command=\"/run/bin/rex-exec --ssh --timeout 20s /run/ssh/greet.rhai who=nobody\"";
    Server::with(&setup(forced), |server| {
        std::fs::write("/run/ssh/greet.rhai", "#!/usr/bin/env rex-exec\n`${how} ${who}`").expect("a script");
        let ran = server.ssh("ci", "rex-exec - how=dear", "`another`");
        assert_eq!(said(&ran), ("dear nobody".into(), String::new()));
        for (command, names) in [
            ("rex-exec - how=dear who=all", "`who`"),
            ("rex-exec - how=dear --timeout 1h", "--timeout"),
            ("rex-exec - --bundle", "one script"),
        ] {
            let ran = server.ssh("ci", command, "1");
            assert_eq!(ran.status.code(), Some(2), "{ran:?}");
            assert!(said(&ran).1.contains(names), "{ran:?}");
        }
    });
}

#[test]
fn a_policy_of_the_forced_command_narrows_its_key() {
    let forced = "restrict,command=\"/run/bin/rex-exec --ssh --policy-file /run/ssh/narrow.cedar\"";
    Server::with(&setup(forced), |server| {
        let narrow = "permit(principal, action, resource is sysinfo::Sysinfo);";
        std::fs::write("/run/ssh/narrow.cedar", narrow).expect("a policy");
        assert_eq!(server.ssh("ci", "", "cat(\"/etc/hosts\")").status.code(), Some(4));
        let wider = serde_json::json!({"script": "1", "policy": "permit(principal, action, resource);"});
        let ran = server.ssh("ci", "rex-exec --bundle", &wider.to_string());
        assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    });
}

#[test]
fn the_environment_of_the_other_end_changes_nothing() {
    Server::with(&setup(""), |server| {
        let sent = "SetEnv=LOG_LEVEL=trace REX_RUNNER_DISABLE_MONITORING=1 NO_COLOR=1 TERM=dumb RUST_BACKTRACE=full \
            SSH_USER_AUTH=/etc/passwd SSH_ORIGINAL_COMMAND=sh SSH_CONNECTION=x";
        let ran = Ran::of(&server.ssh_with("deploy", &["-o", sent], &["rex-exec -o json"], "debug(\"x\"); 1"));
        assert_eq!((ran.code, ran.output()), (0, "1"), "{ran:?}");
        assert_eq!(ran.result["logs"].as_array().map(Vec::len), Some(0), "{}", ran.stdout);
        assert!(ran.stdout.contains("RexRunnerProcessCpuUsage"), "{}", ran.stdout);
        // With a shell it is its own.
        let shell = format!("{REX_EXEC} -o json -");
        let ran = Ran::of(&server.ssh_with("ana", &["-o", sent], &[&shell], "debug(\"x\"); 1"));
        assert!(!ran.stdout.contains("RexRunnerProcessCpuUsage"), "{}", ran.stdout);
    });
}
