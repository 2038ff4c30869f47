//! Which objects have been met, by device and inode.

use rex_protocol::fs::Metadata;
use std::collections::{HashMap, HashSet};

/// Objects that were met.
#[derive(Debug, Default)]
pub(super) struct Seen {
    objects: HashSet<(u64, u64)>,
    /// The least depth that each directory was met at.
    dirs: HashMap<(u64, u64), usize>,
}

impl Seen {
    /// Whether this is the first meeting with an object that is no directory.
    pub(super) fn object(&mut self, stat: &Metadata) -> bool {
        self.objects.insert((stat.device, stat.inode))
    }

    /// As [`Self::object`], remembering only what can have further names.
    pub(super) fn name(&mut self, stat: &Metadata) -> bool {
        stat.links < 2 || self.object(stat)
    }

    /// Whether a directory is met for the first time, or less deep than ever before: more below it may be within reach then.
    pub(super) fn dir(&mut self, stat: &Metadata, depth: usize) -> bool {
        let least = self.dirs.entry((stat.device, stat.inode)).or_insert(usize::MAX);
        let nearer = depth < *least;
        *least = depth.min(*least);
        nearer
    }
}
