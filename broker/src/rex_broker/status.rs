//! `status`: how the running broker is.

use crate::options::{Format, Status as Options};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nix::unistd::{Uid, User};
use rex_broker::ask::ask;
use rex_broker::audit::is_plain;
use rex_protocol::client::{FromClient, ToClient};
use rex_protocol::status::Status;
use rex_protocol::text::Text;
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::path::Path;

/// Asks the broker at `socket`, and prints its answer.
pub(crate) fn tell(socket: &Path, options: &Options) -> Result<(), String> {
    let status = match ask(socket, &FromClient::Status).map_err(|error| error.to_string())? {
        ToClient::Status(status) => *status,
        _ => return Err(format!("cannot understand the broker at `{}`", socket.display())),
    };
    let text = match options.output_format {
        Format::Human => human(&status),
        Format::Json => format!("{}\n", as_json(&status)),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot write the status: {error}")),
        // Who reads it has what it wants.
        Ok(()) | Err(_) => Ok(()),
    }
}

fn as_json(status: &Status) -> Value {
    let runs = status.runs.iter().map(|run| {
        json!({
            "run": &*run.run, "user": user(run.uid), "uid": run.uid, "script": &*run.script,
            "since": when(run.since), "session": run.session, "client": run.client,
        })
    });
    let barred = status.barred.iter();
    let barred = barred.map(|one| json!({ "user": user(one.uid), "uid": one.uid, "left_ms": one.left_ms }));
    let (policies, counters) = (&status.policies, &status.counters);
    let fault = policies.fault.as_ref();
    let audit = status.audit.as_ref();
    json!({
        "version": &*status.version,
        "pid": status.pid,
        "started": when(status.started),
        "uptime_ms": status.uptime_ms,
        "sessions": { "now": status.sessions, "most": status.most_sessions },
        "ready": { "now": status.ready, "target": status.ready_target },
        "groups": &*status.groups,
        "policies": {
            "revision": &*policies.revision,
            "count": policies.count,
            "loaded": when(policies.loaded),
            "fault": fault.map(|fault| json!({ "at": when(fault.at), "message": &*fault.message })),
        },
        "audit": audit.map(|head| json!({ "seq": head.seq, "hash": &*head.hash })),
        "counters": {
            "ended": words(&counters.ended),
            "refused": words(&counters.refused),
            "decisions": { "allow": counters.allowed, "deny": counters.denied },
            "operations": counters.operations,
            "reloads": { "loaded": counters.reloads, "refused": counters.reload_faults },
        },
        "runs": runs.collect::<Vec<_>>(),
        "barred": barred.collect::<Vec<_>>(),
    })
}

fn words(counted: &[(Text<32>, u64)]) -> Map<String, Value> {
    counted.iter().map(|(word, count)| (word.to_string(), json!(count))).collect()
}

fn human(status: &Status) -> String {
    let (policies, counters) = (&status.policies, &status.counters);
    let up = SignedDuration::from_secs(i64::try_from(status.uptime_ms / 1000).unwrap_or(i64::MAX));
    let counted = |counted: &[(Text<32>, u64)]| {
        let some: Vec<String> =
            counted.iter().filter(|(_, count)| *count > 0).map(|(word, count)| format!("{word} {count}")).collect();
        if some.is_empty() { "none".to_owned() } else { some.join(", ") }
    };
    let mut rows = vec![
        ("broker", format!("{}, process {}, up {up:#}", status.version, status.pid)),
        ("sessions", format!("{} of {} at most", status.sessions, status.most_sessions)),
        ("ready", format!("{} of {}", status.ready, status.ready_target)),
        ("runs held by", status.groups.to_string()),
        ("policies", format!("{}, revision {}, loaded {}", policies.count, policies.revision, local(policies.loaded))),
    ];
    if let Some(fault) = &policies.fault {
        rows.push(("not loaded", format!("{}: {}", local(fault.at), fault.message)));
    }
    rows.push(match &status.audit {
        Some(head) => ("audit log", format!("record {}, {}", head.seq, head.hash)),
        None => ("audit log", "cannot be read".into()),
    });
    rows.extend([
        ("ended", counted(&counters.ended)),
        ("refused", counted(&counters.refused)),
        ("decisions", format!("allow {}, deny {}", counters.allowed, counters.denied)),
        ("operations", counters.operations.to_string()),
    ]);
    let left = |ms: u64| ms.div_ceil(1000);
    let barred =
        status.barred.iter().map(|one| ("barred", format!("{} for {} s more", user(one.uid), left(one.left_ms))));
    rows.extend(barred);
    let mut text: String = rows.iter().map(|(name, value)| format!("{name:<13}{}\n", shown(value))).collect();
    if !status.runs.is_empty() {
        text += &format!("\n{:<18}{:<18}{:<10}{:<10}{:<21}SCRIPT\n", "RUN", "USER", "SESSION", "CLIENT", "SINCE");
    }
    for run in &status.runs {
        let script = run.script.get(..12).unwrap_or("-");
        let (user, since) = (user(run.uid), local(run.since));
        text += &shown(&format!("{:<18}{user:<18}{:<10}{:<10}{since:<21}{script}", &*run.run, run.session, run.client));
        text.push('\n');
    }
    text
}

/// The name of a user, or the number of one without.
fn user(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// Seconds since 1970 as programs read them.
fn when(seconds: u64) -> String {
    timestamp(seconds).to_string()
}

/// The same for people, where they are.
fn local(seconds: u64) -> String {
    timestamp(seconds).to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn timestamp(seconds: u64) -> Timestamp {
    i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}

/// A line that can do a terminal no harm.
fn shown(line: &str) -> String {
    line.chars().map(|character| if is_plain(character) { character } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rex_protocol::status::{Barred, Counters, PolicyStatus, ReloadFault, RunStatus};

    fn status() -> Status {
        let counted = |words: &[(&str, u64)]| words.iter().map(|(word, count)| (Text::cut(*word), *count)).collect();
        Status {
            version: Text::cut("1.2.3"),
            pid: 7,
            started: 0,
            uptime_ms: 3_725_900,
            runs: vec![RunStatus {
                run: Text::cut("00ff"),
                uid: 0,
                script: Text::cut("abcdefabcdefabcdef"),
                since: 60,
                session: 8,
                client: 9,
            }],
            sessions: 1,
            most_sessions: 64,
            ready: 1,
            ready_target: 2,
            policies: PolicyStatus {
                revision: Text::cut("r"),
                count: 3,
                loaded: 0,
                fault: Some(ReloadFault { at: 1, message: Text::cut("a\u{1b}[31m\nb") }),
            },
            counters: Counters {
                ended: counted(&[("succeeded", 4), ("denied", 0)]),
                refused: counted(&[("busy", 0)]),
                allowed: 10,
                denied: 2,
                ..Counters::default()
            },
            barred: vec![Barred { uid: u32::MAX - 1, left_ms: 1_500 }],
            audit: None,
            groups: Text::cut("no control groups: x"),
        }
    }

    #[test]
    fn people_see_one_thing_a_line_and_no_control_sequence() {
        let text = human(&status());
        for line in [
            "broker       1.2.3, process 7, up 1h 2m 5s",
            "sessions     1 of 64 at most",
            "ended        succeeded 4",
            "refused      none",
            "decisions    allow 10, deny 2",
            "barred       4294967294 for 2 s more",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(text.contains(": a?[31m?b\n") && text.contains("00ff") && text.ends_with("abcdefabcdef\n"), "{text}");
    }

    #[test]
    fn programs_get_all_of_it() {
        let told = as_json(&status());
        assert_eq!(told["runs"][0]["user"], "root");
        assert_eq!(told["runs"][0]["since"], "1970-01-01T00:01:00Z");
        assert_eq!(told["counters"]["ended"], json!({ "succeeded": 4, "denied": 0 }));
        assert_eq!(told["audit"], Value::Null);
    }
}
