//! What each user's runs are held to: how many at a time, how many in a minute, and what follows when they attack.
//!
//! What is kept of a user is of fixed size but for the times of a few violations, and it is kept of at most [`KEPT`] users:
//! whoever has many uids gains runs by them up to what holds for all together, but no memory.

use crate::config::{Runs, Users};
use nix::unistd::{User, geteuid};
use rex_protocol::client::{Refusal, RefusalReason};
use rex_protocol::status::{Barred, LISTED};
use rex_protocol::text::Text;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Of how many users something is kept at most.
const KEPT: usize = 4096;
/// How often at most the broker's log tells of what a user is refused.
const COMPLAINT: Duration = Duration::from_secs(10);
/// The time that a user's runs are counted in.
const MINUTE: Duration = Duration::from_secs(60);

/// Counts runs and violations, of each user and in all.
pub(super) struct Limits {
    most: Runs,
    each: Users,
    exempt: Vec<u32>,
    total: usize,
    users: HashMap<u32, Account>,
}

/// What is known of a user.
#[derive(Debug, Default)]
struct Account {
    runs: usize,
    /// When all that was taken of the rate will have been earned again.
    earned: Option<Instant>,
    /// When violations happened that still count.
    violations: Vec<Instant>,
    /// Until when runs are refused.
    barred: Option<Instant>,
    /// When the log was told last, and how often nothing was said since.
    complained: Option<Instant>,
    unsaid: u64,
}

impl Limits {
    /// An error names a user who is to be exempt and does not exist.
    pub(super) fn new(most: Runs, each: Users) -> Result<Self, String> {
        let exempt = match &each.exempt {
            None => vec![0, geteuid().as_raw()],
            Some(names) => names.iter().map(|name| uid_of(name)).collect::<Result<_, _>>()?,
        };
        Ok(Self { most, each, exempt, total: 0, users: HashMap::new() })
    }

    /// Counts a run in, or tells why it is refused, and until when.
    pub(super) fn enter(&mut self, uid: u32, now: Instant) -> Result<(), Refusal> {
        let (most, rate) = (self.most, self.rate_of(uid));
        let total = self.total;
        let account = self.account(uid, now);
        if let Some(left) = account.barred_for(now) {
            let message = format!(
                "this user's runs broke the protocol or their walls too often and are refused for a while: {}",
                again_in(left)
            );
            return Err(refusal(RefusalReason::Barred { retry_ms: milliseconds(left) }, &message));
        }
        if account.runs >= most.per_user {
            let message = format!(
                "this user has {} runs at a time already, the most that is allowed: try again when one has ended",
                account.runs
            );
            return Err(refusal(RefusalReason::Busy, &message));
        }
        if total >= most.total {
            let message = format!(
                "there are {total} runs at a time already, the most that is allowed: try again when one has ended"
            );
            return Err(refusal(RefusalReason::Busy, &message));
        }
        if let Some(rate) = rate
            && let Err(left) = account.take(rate, now)
        {
            let message = format!("this user starts more than {rate} runs a minute: {}", again_in(left));
            return Err(refusal(RefusalReason::TooFast { retry_ms: milliseconds(left) }, &message));
        }
        account.runs += 1;
        self.total += 1;
        Ok(())
    }

    /// Counts a run out.
    pub(super) fn leave(&mut self, uid: u32) {
        self.total = self.total.saturating_sub(1);
        if let Some(account) = self.users.get_mut(&uid) {
            account.runs = account.runs.saturating_sub(1);
        }
    }

    /// A run of this user broke the protocol or its walls. Gives for how long its runs are refused, if that begins now.
    pub(super) fn violated(&mut self, uid: u32, now: Instant) -> Option<Duration> {
        if self.each.violations == 0 || self.exempt.contains(&uid) {
            return None;
        }
        let within = Duration::from_secs(self.each.within_seconds.into());
        let (most, penalty) = (self.each.violations as usize, Duration::from_secs(self.each.penalty_seconds.into()));
        let account = self.account(uid, now);
        if account.barred_for(now).is_some() {
            // Of a run that was under way when the penalty began.
            return None;
        }
        account.violations.retain(|at| now.saturating_duration_since(*at) < within);
        account.violations.push(now);
        if account.violations.len() < most {
            return None;
        }
        account.violations = Vec::new();
        account.barred = now.checked_add(penalty);
        Some(penalty)
    }

    /// Whether the log should be told that this user was refused something, and how often it was not told meanwhile.
    pub(super) fn complain(&mut self, uid: u32, now: Instant) -> Option<u64> {
        let account = self.account(uid, now);
        if account.complained.is_some_and(|at| now.saturating_duration_since(at) < COMPLAINT) {
            account.unsaid = account.unsaid.saturating_add(1);
            return None;
        }
        account.complained = Some(now);
        Some(std::mem::take(&mut account.unsaid))
    }

    /// The users whose runs are refused, those first that have the longest to wait.
    pub(super) fn barred(&self, now: Instant) -> Vec<Barred> {
        let left = |(uid, account): (&u32, &Account)| {
            Some(Barred { uid: *uid, left_ms: milliseconds(account.barred_for(now)?) })
        };
        let mut barred: Vec<Barred> = self.users.iter().filter_map(left).collect();
        barred.sort_unstable_by_key(|barred| (std::cmp::Reverse(barred.left_ms), barred.uid));
        barred.truncate(LISTED);
        barred
    }

    fn rate_of(&self, uid: u32) -> Option<u32> {
        (self.each.runs_per_minute > 0 && !self.exempt.contains(&uid)).then_some(self.each.runs_per_minute)
    }

    /// What is known of a user. Where that would be of too many, those are forgotten of whom the least is lost.
    fn account(&mut self, uid: u32, now: Instant) -> &mut Account {
        if self.users.len() >= KEPT && !self.users.contains_key(&uid) {
            let within = Duration::from_secs(self.each.within_seconds.into());
            self.users.retain(|_, account| !account.is_at_rest(now, within));
            if self.users.len() >= KEPT {
                // Those with runs stay: they are at most as many as there are runs. Many go at once, so that this is seldom done.
                let idle = self.users.iter().filter(|(_, account)| account.runs == 0);
                let mut idle: Vec<_> = idle.map(|(uid, account)| (account.weight(now), *uid)).collect();
                idle.sort_unstable();
                idle.iter().take(KEPT / 4).for_each(|(_, uid)| drop(self.users.remove(uid)));
            }
        }
        self.users.entry(uid).or_default()
    }
}

impl Account {
    fn barred_for(&self, now: Instant) -> Option<Duration> {
        let left = self.barred?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Takes one of `rate` a minute, or tells when there is one. What was taken is earned again evenly.
    fn take(&mut self, rate: u32, now: Instant) -> Result<(), Duration> {
        let one = MINUTE / rate;
        let earned = self.earned.map_or(now, |earned| earned.max(now));
        let owed = earned.saturating_duration_since(now);
        match (owed + one).checked_sub(MINUTE) {
            Some(left) if !left.is_zero() => Err(left),
            _ => {
                self.earned = Some(earned + one);
                Ok(())
            }
        }
    }

    /// Whether it is as if nothing were known.
    fn is_at_rest(&self, now: Instant, within: Duration) -> bool {
        self.runs == 0
            && self.earned.is_none_or(|earned| earned <= now)
            && self.barred_for(now).is_none()
            && self.violations.iter().all(|at| now.saturating_duration_since(*at) >= within)
            && self.complained.is_none_or(|at| now.saturating_duration_since(at) >= COMPLAINT)
    }

    /// How much is lost when it is forgotten.
    fn weight(&self, now: Instant) -> (Duration, usize, Duration) {
        let owed = self.earned.map_or(Duration::ZERO, |earned| earned.saturating_duration_since(now));
        (self.barred_for(now).unwrap_or_default(), self.violations.len(), owed)
    }
}

fn uid_of(name: &str) -> Result<u32, String> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(format!("there is no user `{name}`, whom `users.exempt` names")),
        Err(errno) => Err(format!("cannot look for the user `{name}`, whom `users.exempt` names: {}", errno.desc())),
    }
}

fn refusal(reason: RefusalReason, message: &str) -> Refusal {
    Refusal { reason, message: Text::cut(message) }
}

fn again_in(left: Duration) -> String {
    format!("try again in {} s", left.as_millis().div_ceil(1000))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: Runs = Runs { total: 3, per_user: 2, ready: 0 };

    fn limits(most: Runs, each: Users) -> Limits {
        Limits::new(most, Users { exempt: Some(Vec::new()), ..each }).unwrap()
    }

    fn many() -> Runs {
        Runs { total: usize::MAX, per_user: usize::MAX, ready: 0 }
    }

    #[test]
    fn counts_users_apart_and_all_together() {
        let (mut limits, now) = (limits(RUNS, Users::default()), Instant::now());
        assert!(limits.enter(1, now).is_ok() && limits.enter(1, now).is_ok());
        assert!(limits.enter(1, now).is_err_and(|refusal| refusal.message.contains("this user")));
        assert!(limits.enter(2, now).is_ok());
        assert!(limits.enter(3, now).is_err_and(|refusal| refusal.message.contains("there are 3")));
        limits.leave(1);
        assert!(limits.enter(3, now).is_ok());
    }

    #[test]
    fn a_minutes_worth_of_runs_may_come_at_once_and_then_as_they_are_earned() {
        let mut limits = limits(many(), Users { runs_per_minute: 6, ..Users::default() });
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        for _ in 0..6 {
            assert_eq!(limits.enter(1, begin), Ok(()));
        }
        let refused = limits.enter(1, at(3)).unwrap_err();
        assert_eq!(refused.reason, RefusalReason::TooFast { retry_ms: 7000 });
        assert!(refused.message.contains("6 runs a minute") && refused.message.contains("in 7 s"), "{refused:?}");
        assert_eq!(limits.enter(2, at(3)), Ok(()), "another user");
        // What was refused has cost nothing.
        assert_eq!(limits.enter(1, at(10)), Ok(()));
        assert!(limits.enter(1, at(19)).is_err());
        assert_eq!(limits.enter(1, at(20)), Ok(()));
        let later = (0..10).filter(|_| limits.enter(1, at(1000)).is_ok()).count();
        assert_eq!(later, 6, "no more is saved than a minute's worth");
    }

    #[test]
    fn violations_within_their_time_bar_a_user_for_a_while() {
        let each = Users { violations: 2, within_seconds: 10, penalty_seconds: 30, ..Users::default() };
        let (mut limits, begin) = (limits(many(), each), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(limits.violated(1, at(0)), None);
        assert_eq!(limits.violated(1, at(10)), None, "the first does not count any more");
        assert_eq!(limits.violated(2, at(11)), None, "another user's");
        assert_eq!(limits.violated(1, at(12)), Some(Duration::from_secs(30)));
        assert_eq!(limits.violated(1, at(13)), None, "it has begun");
        let refused = limits.enter(1, at(20)).unwrap_err();
        assert_eq!(refused.reason, RefusalReason::Barred { retry_ms: 22_000 });
        assert_eq!(limits.barred(at(20)), [Barred { uid: 1, left_ms: 22_000 }]);
        assert_eq!(limits.enter(2, at(20)), Ok(()));
        assert_eq!(limits.enter(1, at(42)), Ok(()));
        assert_eq!(limits.violated(1, at(43)), None, "it begins to count anew");
    }

    #[test]
    fn those_who_could_end_the_broker_are_not_held_to_rate_and_penalty() {
        let mut limits = Limits::new(many(), Users { runs_per_minute: 1, violations: 1, ..Users::default() }).unwrap();
        let now = Instant::now();
        for uid in [0, geteuid().as_raw()] {
            assert_eq!(limits.violated(uid, now), None);
            assert!((0..5).all(|_| limits.enter(uid, now).is_ok()));
        }
        assert!(Limits::new(many(), Users { exempt: Some(vec!["no such user".into()]), ..Users::default() }).is_err());
    }

    #[test]
    fn no_number_of_users_makes_it_grow() {
        let (mut limits, now) = (limits(many(), Users { violations: 1, ..Users::default() }), Instant::now());
        limits.violated(7, now);
        assert_eq!(limits.enter(8, now), Ok(()));
        for uid in 1000..12_000 {
            assert_eq!(limits.enter(uid, now), Ok(()));
            limits.leave(uid);
            limits.complain(uid, now);
            assert!(limits.users.len() <= KEPT);
        }
        // What matters most is forgotten last.
        assert!(limits.enter(7, now).is_err());
        assert_eq!(limits.users.get(&8).map(|account| account.runs), Some(1));
    }

    #[test]
    fn the_log_is_told_now_and_then() {
        let (mut limits, begin) = (limits(many(), Users::default()), Instant::now());
        assert_eq!(limits.complain(1, begin), Some(0));
        assert_eq!((limits.complain(1, begin), limits.complain(1, begin)), (None, None));
        assert_eq!(limits.complain(2, begin), Some(0));
        assert_eq!(limits.complain(1, begin + COMPLAINT), Some(2));
    }
}
