//! What has happened since the daemon was started.

use crate::session::{CLASSES, How, class_name, reason_name};
use rex_protocol::client::RefusalReason;
use rex_protocol::limits::LimitName;
use rex_protocol::status;
use rex_protocol::text::Text;
use std::collections::BTreeMap;

/// How a run ended whose session did not come to tell it: it was killed.
pub(super) const LOST: &str = "lost";
const SUCCEEDED: &str = "succeeded";
const GONE: &str = "gone";

/// Every reason of a refusal; of limits, one stands for all.
const REASONS: [RefusalReason; 8] = [
    RefusalReason::Protocol,
    RefusalReason::Busy,
    RefusalReason::Limit(LimitName::Time),
    RefusalReason::NoPolicy,
    RefusalReason::Unavailable,
    RefusalReason::NotAllowed,
    RefusalReason::TooFast { retry_ms: 0 },
    RefusalReason::Barred { retry_ms: 0 },
];

/// The counters. Their words are there from the beginning, so that whoever looks at them sees each rise from 0.
pub(super) struct Counters {
    ended: BTreeMap<&'static str, u64>,
    refused: BTreeMap<&'static str, u64>,
    allowed: u64,
    denied: u64,
    operations: u64,
    pub(super) reloads: u64,
    pub(super) reload_faults: u64,
}

impl Counters {
    pub(super) fn new() -> Self {
        let words = CLASSES.iter().map(|class| class_name(*class)).chain([SUCCEEDED, GONE, LOST]);
        Self {
            ended: words.map(|word| (word, 0)).collect(),
            refused: REASONS.iter().map(|reason| (reason_name(*reason), 0)).collect(),
            allowed: 0,
            denied: 0,
            operations: 0,
            reloads: 0,
            reload_faults: 0,
        }
    }

    /// A run has ended, with so much decided and done.
    pub(super) fn ended(&mut self, how: How, allowed: u64, denied: u64, operations: u64) {
        self.count_ended(match how {
            How::Succeeded => SUCCEEDED,
            How::Gone => GONE,
            How::Failed(class) => class_name(class),
        });
        self.allowed = self.allowed.saturating_add(allowed);
        self.denied = self.denied.saturating_add(denied);
        self.operations = self.operations.saturating_add(operations);
    }

    /// A run has ended, by this word.
    pub(super) fn count_ended(&mut self, word: &'static str) {
        *self.ended.entry(word).or_default() += 1;
    }

    /// A client was refused.
    pub(super) fn refused(&mut self, reason: RefusalReason) {
        *self.refused.entry(reason_name(reason)).or_default() += 1;
    }

    /// The same, to be told.
    pub(super) fn told(&self) -> status::Counters {
        let told = |words: &BTreeMap<&'static str, u64>| {
            words.iter().map(|(word, count)| (Text::cut(*word), *count)).collect()
        };
        status::Counters {
            ended: told(&self.ended),
            refused: told(&self.refused),
            allowed: self.allowed,
            denied: self.denied,
            operations: self.operations,
            reloads: self.reloads,
            reload_faults: self.reload_faults,
        }
    }
}
