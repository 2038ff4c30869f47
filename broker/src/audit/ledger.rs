//! How much of the log the runs of each user have filled lately, so that nobody's records can push out all others'.
//!
//! What is written counts, and is regained evenly: all of it within the days that the log is to reach back. So in that time a
//! user's records take at most twice what is granted. It is a file beside the log, written under the log's lock: it outlives
//! brokers, and runs at the same time count together.

use crate::digest::sha256;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Its name.
pub(super) const LEDGER: &str = "audit.users";
/// Of how many users something is known. Those that the system has no name for are one.
const SLOTS: usize = 1024;
/// What is kept of one, in bytes.
const SLOT: usize = 64;

/// What a user's runs may fill, and how much of it they have.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    user: u32,
    most: u64,
    within: Duration,
    /// Where it stood last.
    slot: usize,
}

/// What is known of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Account {
    user: u32,
    /// Bytes that count.
    filled: u64,
    /// When that was so, in milliseconds since 1970.
    at: u64,
}

impl Ledger {
    /// Of a user who may fill `most` bytes, which are regained `within` that time.
    pub(super) fn new(file: File, user: u32, most: u64, within: Duration) -> io::Result<Self> {
        let length = (SLOTS * SLOT) as u64;
        if file.metadata()?.len() < length {
            // All of it at once: later writes need no more of the disk.
            file.write_all_at(&vec![b' '; SLOTS * SLOT], 0)?;
        }
        Ok(Self { file, user, most, within, slot: 0 })
    }

    /// What is granted, in bytes.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// Counts what was written, in bytes, under the log's lock. Gives what counts by now.
    pub(super) fn add(&mut self, bytes: u64) -> io::Result<u64> {
        let now = now();
        let (slot, account) = self.account(now)?;
        let filled = account.filled.saturating_add(bytes);
        self.slot = slot;
        self.file.write_all_at(&Account { filled, ..account }.encode(), (slot * SLOT) as u64)?;
        Ok(filled)
    }

    /// Where this user's account stands or may be put, as it is now.
    fn account(&self, now: u64) -> io::Result<(usize, Account)> {
        let mut slot = [0; SLOT];
        self.file.read_exact_at(&mut slot, (self.slot * SLOT) as u64)?;
        if let Some(own) = Account::parse(&slot).filter(|account| account.user == self.user) {
            return Ok((self.slot, self.regained(own, now)));
        }
        let mut table = vec![0; SLOTS * SLOT];
        self.file.read_exact_at(&mut table, 0)?;
        let accounts = table.chunks(SLOT).map(Account::parse).enumerate();
        let mut place = (u64::MAX, 0);
        for (at, account) in accounts {
            match account.map(|account| self.regained(account, now)) {
                Some(account) if account.user == self.user => return Ok((at, account)),
                // Where there is no room, the least is forgotten.
                other => place = place.min((other.map_or(0, |account| account.filled), at)),
            }
        }
        Ok((place.1, Account { user: self.user, filled: 0, at: now }))
    }

    /// What still counts of it. No more than twice what is granted ever does: what was granted may have been more.
    fn regained(&self, account: Account, now: u64) -> Account {
        let within = self.within.as_millis().max(1);
        let elapsed = u128::from(now.saturating_sub(account.at));
        let regained = u128::from(self.most).saturating_mul(elapsed) / within;
        let filled = account.filled.min(self.most.saturating_mul(2));
        let filled = filled.saturating_sub(u64::try_from(regained).unwrap_or(u64::MAX));
        // Time that gave back less than a byte is not lost.
        let at = if regained == 0 && account.at <= now { account.at } else { now };
        Account { filled, at, ..account }
    }
}

impl Account {
    fn encode(self) -> Vec<u8> {
        let Self { user, filled, at } = self;
        let text = format!("{user} {filled} {at}");
        let mut slot = format!("{text} {}", checksum(&text)).into_bytes();
        slot.resize(SLOT - 1, b' ');
        slot.push(b'\n');
        slot
    }

    /// Nothing where there is none, or it was cut off when it was written.
    fn parse(slot: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(slot).ok()?.trim_ascii();
        let (text, sum) = text.rsplit_once(' ')?;
        if checksum(text) != sum {
            return None;
        }
        let mut numbers = text.split(' ');
        let user = numbers.next()?.parse().ok()?;
        let filled = numbers.next()?.parse().ok()?;
        Some(Self { user, filled, at: numbers.next()?.parse().ok()? })
    }
}

/// Eight digits, against what is half written.
fn checksum(text: &str) -> String {
    sha256([text.as_bytes()]).chars().take(8).collect()
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn ledger(file: &File, user: u32) -> Ledger {
        Ledger::new(file.try_clone().unwrap(), user, 1000, DAY).unwrap()
    }

    #[test]
    fn users_count_apart_and_their_runs_together() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(ledger(&file, 1).add(300).unwrap(), 300);
        let (mut one, mut other) = (ledger(&file, 1), ledger(&file, 2));
        assert_eq!((one.add(100).unwrap(), other.add(7).unwrap(), one.add(1).unwrap()), (400, 7, 401));
        assert_eq!(ledger(&file, 1).add(0).unwrap(), 401);
        assert_eq!(file.metadata().unwrap().len(), (SLOTS * SLOT) as u64);
    }

    #[test]
    fn what_is_filled_is_regained_evenly() {
        let file = tempfile::tempfile().unwrap();
        let ledger = ledger(&file, 1);
        let day = u64::try_from(DAY.as_millis()).unwrap();
        let of = |filled| Account { user: 1, filled, at: day };
        assert_eq!(ledger.regained(of(1000), day).filled, 1000);
        assert_eq!(ledger.regained(of(1000), day + day / 2).filled, 500);
        assert_eq!(ledger.regained(of(1000), day + day).filled, 0);
        assert_eq!(
            ledger.regained(of(1000), 0),
            Account { at: 0, ..of(1000) },
            "a clock that was put back gives nothing"
        );
        assert_eq!(ledger.regained(of(5000), day).filled, 2000, "what was granted before was more");
        // However often one looks.
        let often = (1..=1000).fold(of(1000), |account, step| ledger.regained(account, day + day / 2 * step / 1000));
        assert!((499..=501).contains(&often.filled), "{often:?}");
    }

    #[test]
    fn a_full_table_forgets_the_least() {
        let file = tempfile::tempfile().unwrap();
        for user in 0..SLOTS as u32 {
            ledger(&file, user).add(if user == 500 { 1 } else { 600 }).unwrap();
        }
        assert_eq!(ledger(&file, 5000).add(9).unwrap(), 9);
        assert_eq!(ledger(&file, 499).add(0).unwrap(), 600);
        assert_eq!(ledger(&file, 500).add(0).unwrap(), 0);
    }

    #[test]
    fn what_was_cut_off_is_no_account() {
        let whole = Account { user: u32::MAX, filled: u64::MAX, at: 1 << 41 }.encode();
        assert_eq!(whole.len(), SLOT);
        assert!(Account::parse(&whole).is_some());
        let text = whole.trim_ascii_end().len();
        for end in 0..text {
            let mut cut = whole[..end].to_vec();
            cut.resize(SLOT, b' ');
            assert_eq!(Account::parse(&cut), None, "{end}");
        }
    }
}
