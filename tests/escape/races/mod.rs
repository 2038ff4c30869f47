//! A renamer and a link-swapper run without a pause beside 10^5 operations of every kind that takes names: nothing of what
//! policy forbids is ever read, listed, made or changed.
//!
//! Nothing here depends on who comes first. Each kind of operation is shown to work before the race begins; in the race
//! it may fail as it likes, but never succeed on what is forbidden.

mod acts;
mod attackers;
mod client;
mod stage;

use acts::ACTS;
use client::Client;
use rex_client::{Broker, Policy, Terms};
use rex_tests::{Daemon, Settings, programs};
use stage::Stage;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many requests each of the two clients makes.
const REQUESTS: u64 = 50_000;

#[test]
fn nothing_forbidden_is_reached_while_names_are_swapped() {
    let stage = Stage::new();
    let daemon = Daemon::start(&Settings { policy: stage.policy(), ..Settings::default() });
    let by_daemon = Broker::connect_to(daemon.socket()).expect("the broker listens").session().expect("a session");
    let terms = Terms::new().policy(Policy::new("races", stage.policy()));
    let standalone = Broker::standalone_by(programs().join("rex-broker")).expect("a session of our own");
    let clients =
        [by_daemon, standalone.operate(terms).expect("a session")].map(|session| Client::new(session, &stage));
    for client in &clients {
        for (name, act) in ACTS {
            stage.mend();
            act(client).unwrap_or_else(|failure| panic!("{name}, undisturbed: {failure}"));
        }
    }
    let (done, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let requests: Vec<u64> = std::thread::scope(|scope| {
        // They end also where a client panics.
        let _end = End(&done);
        for attack in attackers::ATTACKERS {
            let (stage, done, swaps) = (&stage, &done, &swaps);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    swaps.fetch_add(attack(stage), Ordering::Relaxed);
                }
            });
        }
        let scripts = scope.spawn(|| client::run_scripts(&daemon, &stage));
        let clients = clients.map(|client| scope.spawn(move || race(client)));
        let requests = clients.map(|client| client.join().expect("nothing forbidden came to light"));
        scripts.join().expect("nothing forbidden came to light");
        requests.into()
    });
    assert!(requests.iter().sum::<u64>() >= 100_000 && swaps.into_inner() > 0, "{requests:?}");
    stage.confirm_unharmed();
}

/// Performs operations in turn, and tells how many requests the broker served.
fn race(mut client: Client<'_>) -> u64 {
    while client.requests() < REQUESTS {
        for (_, act) in ACTS {
            // Whether it succeeds is up to the attackers; what it gives was looked at.
            let _ = act(&client);
        }
        client.next_round();
    }
    client.end()
}

/// Tells the attackers to stop when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
