//! How many runs there are, in all and of each user.

use crate::config::Runs;
use std::collections::HashMap;

/// Counts the runs under way.
pub(super) struct Quota {
    most: Runs,
    total: usize,
    of_user: HashMap<u32, usize>,
}

impl Quota {
    pub(super) fn new(most: Runs) -> Self {
        Self { most, total: 0, of_user: HashMap::new() }
    }

    /// Counts a run in, or tells why there is no room for it.
    pub(super) fn enter(&mut self, uid: u32) -> Result<(), String> {
        let of_user = self.of_user.get(&uid).copied().unwrap_or(0);
        if of_user >= self.most.per_user {
            return Err(format!("this user has {of_user} runs at a time already, the most that is allowed"));
        }
        if self.total >= self.most.total {
            return Err(format!("there are {} runs at a time already, the most that is allowed", self.total));
        }
        self.total += 1;
        self.of_user.insert(uid, of_user + 1);
        Ok(())
    }

    /// Counts a run out.
    pub(super) fn leave(&mut self, uid: u32) {
        self.total = self.total.saturating_sub(1);
        match self.of_user.get_mut(&uid) {
            Some(1) | None => drop(self.of_user.remove(&uid)),
            Some(count) => *count -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_users_apart_and_all_together() {
        let mut quota = Quota::new(Runs { total: 3, per_user: 2, ready: 0 });
        assert!(quota.enter(1).is_ok() && quota.enter(1).is_ok());
        assert!(quota.enter(1).is_err_and(|reason| reason.contains("this user")));
        assert!(quota.enter(2).is_ok());
        assert!(quota.enter(3).is_err_and(|reason| reason.contains("there are 3")));
        quota.leave(1);
        assert!(quota.enter(3).is_ok());
    }
}
