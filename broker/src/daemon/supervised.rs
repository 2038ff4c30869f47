//! What the daemon owes to systemd: word of what it does (sd_notify(3)), and an end when nobody needs it.

use sd_notify::NotifyState;
use std::time::{Duration, Instant};

/// Where nothing supervises the daemon, words go nowhere and deadlines never come.
pub(super) struct Supervised {
    /// How often word is due that the loop still turns (`WatchdogSec=`).
    word_every: Option<Duration>,
    last_word: Instant,
    /// After how long without a run the daemon ends: the next client starts it again.
    idle_after: Option<Duration>,
    idle_since: Instant,
}

impl Supervised {
    /// `idle_after` counts only for a socket that stays when the daemon ends.
    pub(super) fn new(idle_after: Option<Duration>) -> Self {
        let now = Instant::now();
        // Half of what is granted, as sd_watchdog_enabled(3) recommends.
        let word_every = sd_notify::watchdog_enabled().map(|granted| granted / 2);
        Self { word_every, last_word: now, idle_after, idle_since: now }
    }

    /// The daemon serves.
    pub(super) fn ready(&self) {
        say(&[NotifyState::Ready]);
    }

    /// Policies are about to be loaded anew; [`ready`](Self::ready) follows. The moment tells systemd which reload is meant.
    pub(super) fn reloading(&self) {
        if let Ok(moment) = NotifyState::monotonic_usec_now() {
            say(&[NotifyState::Reloading, moment]);
        }
    }

    /// No more clients are served.
    pub(super) fn stopping(&self) {
        say(&[NotifyState::Stopping]);
    }

    /// When the loop has to turn at the latest.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let word = self.word_every.map(|every| every.saturating_sub(self.last_word.elapsed()));
        let idle = self.idle_after.map(|after| after.saturating_sub(self.idle_since.elapsed()));
        word.into_iter().chain(idle).min()
    }

    /// The loop turns, with `runs` under way: whether the daemon may end.
    pub(super) fn turn(&mut self, runs: usize) -> bool {
        if self.word_every.is_some_and(|every| self.last_word.elapsed() >= every) {
            self.last_word = Instant::now();
            say(&[NotifyState::Watchdog]);
        }
        if runs > 0 {
            self.idle_since = Instant::now();
        }
        self.idle_after.is_some_and(|after| self.idle_since.elapsed() >= after)
    }

    /// Somebody was there.
    pub(super) fn busy(&mut self) {
        self.idle_since = Instant::now();
    }
}

/// A supervisor that does not listen is none of the daemon's faults.
fn say(words: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(words);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_may_end_only_without_runs() {
        let mut supervised = Supervised::new(Some(Duration::ZERO));
        assert!(supervised.turn(0));
        let mut patient = Supervised::new(Some(Duration::from_secs(3600)));
        assert!(!patient.turn(0));
        assert!(patient.next_due().is_some_and(|due| due > Duration::from_secs(3500)));
        let mut forever = Supervised::new(None);
        assert!(!forever.turn(0));
    }
}
