//! 10^5 random operations under random policies: each is denied exactly where Cedar, asked directly with what the operation's
//! contract says, denies it, and a tree changes only where a change was allowed.
//!
//! `REX_PROPERTY_CASES` sets how many requests are made, `REX_PROPERTY_SEED` the first seed. A failure tells the seed of its
//! policy: with that and one case it is the first that is tried.

mod operations;
mod oracle;
mod policies;
mod tree;

use operations::Asker;
use oracle::Oracle;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rex_client::{Broker, Policy, Session, Terms};
use rex_tests::{Daemon, Settings};
use std::sync::atomic::{AtomicU64, Ordering};
use tree::Tree;

/// How many sequences of operations are tried with one policy, each on a new tree.
const SEQUENCES: usize = 50;

#[test]
fn every_decision_is_cedars_and_only_what_it_allows_is_changed() {
    let daemon = Daemon::start(&Settings::default());
    let cases = number("REX_PROPERTY_CASES").unwrap_or(100_000);
    let (next, done) = (AtomicU64::new(number("REX_PROPERTY_SEED").unwrap_or(1)), AtomicU64::new(0));
    let denied = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) < cases {
                    let told = try_policy(&daemon, next.fetch_add(1, Ordering::Relaxed));
                    done.fetch_add(told.0, Ordering::Relaxed);
                    denied.fetch_add(told.1, Ordering::Relaxed);
                }
            });
        }
    });
    let (done, denied) = (done.into_inner(), denied.into_inner());
    assert!(done >= cases && (cases < 1000 || (denied > done / 20 && denied < done / 20 * 19)), "{denied} of {done}");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Tries a random policy in a session of its own. Gives the number of requests, and of those that were denied.
fn try_policy(daemon: &Daemon, seed: u64) -> (u64, u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let tree = Tree::new();
    let policy = policies::random(&mut random, tree.root());
    let context = format!("REX_PROPERTY_SEED={seed} REX_PROPERTY_CASES=1, the policy:\n{policy}");
    let session = session(daemon, &policy);
    let mut asker = Asker::new(&session, Oracle::new(&policy), tree, context);
    for _ in 0..SEQUENCES {
        asker.begin();
        for _ in 0..random.random_range(1..10) {
            operations::random(&mut asker, &mut random);
        }
        asker.confirm_changes();
    }
    asker.told()
}

fn session(daemon: &Daemon, policy: &str) -> Session {
    let terms = Terms::new().policy(Policy::new("random", policy));
    Broker::connect_to(daemon.socket()).expect("the broker listens").operate(terms).expect("a session")
}
