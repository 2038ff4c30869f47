//! Attacks on the broker, from every side that somebody can stand on: a worker that runs an attacker's native
//! code, a peer that speaks the protocol wrongly, scripts that take all they can get, and plain `kill -9`.

mod client;
mod direct;
mod files;
mod jail;
mod mounts;
mod namespaces;
mod narrowing;
#[path = "probe/native.rs"]
mod native;
mod paths;
mod processes;
mod programs;
mod protected;
mod races;
mod resources;
mod sudden_death;
mod worker;

use rex_tests::{Daemon, Settings};

/// A broker whose worker is the attackers' probe.
fn with_probe(config: &str) -> Daemon {
    let worker = Some(rex_tests::programs().join("rex-probe"));
    // One user attacks many times at once here.
    let config = format!("{config}\n[runs]\nper_user = 64\n");
    Daemon::start(&Settings { worker, config, ..Settings::default() })
}
