//! `/proc/slabinfo`

use super::{number, percent};
use std::fmt;

/// A cache of kernel objects.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Slab {
    pub name: String,
    pub active: u64,
    pub objects: u64,
    /// The size of an object, in bytes.
    pub object_size: u64,
    pub objects_per_slab: u64,
    pub pages_per_slab: u64,
    pub active_slabs: u64,
    pub slabs: u64,
}

/// All caches together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[allow(missing_docs)]
pub struct Summary {
    pub active_objects: u64,
    pub total_objects: u64,
    pub active_slabs: u64,
    pub total_slabs: u64,
    /// Caches with active objects.
    pub active_caches: u64,
    pub total_caches: u64,
    /// What active objects take, in bytes.
    pub active_size: u64,
    /// What all objects take, in bytes.
    pub total_size: u64,
    /// The size of the smallest object, in bytes.
    pub smallest: u64,
    /// The size of the largest object, in bytes.
    pub largest: u64,
}

/// Why a text is no table of caches that is understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Failed to parse slabinfo. This version {0} of slabinfo is not supported")]
pub struct UnknownVersion(String);

/// Takes `/proc/slabinfo` apart. The caches with the most objects come first.
pub fn read(text: &str) -> Result<Vec<Slab>, UnknownVersion> {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    match first.strip_prefix("slabinfo - version: ").unwrap_or(first).split_whitespace().next() {
        Some("2.1") => {}
        other => return Err(UnknownVersion(other.unwrap_or_default().to_owned())),
    }
    let mut slabs: Vec<Slab> = lines.filter(|line| !line.starts_with('#')).filter_map(slab).collect();
    slabs.sort_by_key(|slab| std::cmp::Reverse(slab.objects));
    Ok(slabs)
}

/// One line. The columns are counted from the separators: a name may look like anything.
fn slab(line: &str) -> Option<Slab> {
    let mut parts = line.split(" : ");
    let (objects, _tunables, data) = (parts.next()?, parts.next()?, parts.next()?);
    let words: Vec<&str> = objects.split_whitespace().collect();
    let (name, numbers) = words.split_at_checked(words.len().checked_sub(5)?)?;
    let mut numbers = numbers.iter().map(|word| number(Some(word)));
    let mut data = data.split_whitespace().skip(1);
    Some(Slab {
        name: name.join(" "),
        active: numbers.next()?,
        objects: numbers.next()?,
        object_size: numbers.next()?,
        objects_per_slab: numbers.next()?,
        pages_per_slab: numbers.next()?,
        active_slabs: number(data.next()),
        slabs: number(data.next()),
    })
}

/// So many bytes in units of 1024.
#[allow(clippy::cast_precision_loss, reason = "sizes are shown with two digits")]
pub fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

impl Slab {
    /// How many of its objects are active, in whole percent.
    pub fn use_percent(&self) -> u64 {
        self.active.saturating_mul(100).checked_div(self.objects).unwrap_or(0)
    }

    /// What its active slabs take, in units of 1024 bytes.
    pub fn cache_size_kb(&self, page: u64) -> u64 {
        self.active_slabs.saturating_mul(self.pages_per_slab).saturating_mul(page) / 1024
    }

    /// The same for its active objects.
    #[allow(clippy::cast_precision_loss, reason = "sizes are shown with two digits")]
    pub fn active_size_kb(&self, page: u64) -> f64 {
        if self.objects == 0 {
            return 0.0;
        }
        self.cache_size_kb(page) as f64 * self.active as f64 / self.objects as f64
    }
}

impl Summary {
    /// Of these caches.
    pub fn of(slabs: &[Slab]) -> Self {
        let sum = |of: fn(&Slab) -> u64| slabs.iter().map(of).fold(0, u64::saturating_add);
        Self {
            active_objects: sum(|slab| slab.active),
            total_objects: sum(|slab| slab.objects),
            active_slabs: sum(|slab| slab.active_slabs),
            total_slabs: sum(|slab| slab.slabs),
            active_caches: sum(|slab| u64::from(slab.active > 0)),
            total_caches: sum(|_| 1),
            active_size: sum(|slab| slab.active.saturating_mul(slab.object_size)),
            total_size: sum(|slab| slab.objects.saturating_mul(slab.object_size)),
            smallest: slabs.iter().map(|slab| slab.object_size).min().unwrap_or(0),
            largest: slabs.iter().map(|slab| slab.object_size).max().unwrap_or(0),
        }
    }

    /// The size of an object on average, in units of 1024 bytes.
    #[allow(clippy::cast_precision_loss, reason = "sizes are shown with two digits")]
    pub fn average_kb(&self) -> f64 {
        if self.total_objects == 0 { 0.0 } else { kilobytes(self.total_size) / self.total_objects as f64 }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, active, total) in [
            ("Objects (% used)    ", self.active_objects, self.total_objects),
            ("Slabs (% used)      ", self.active_slabs, self.total_slabs),
            ("Caches (% used)     ", self.active_caches, self.total_caches),
        ] {
            writeln!(f, "Active / Total {name}: {active} / {total} ({:.1}%)", percent(active, total))?;
        }
        let (active, total) = (self.active_size, self.total_size);
        let used = percent(active, total);
        let (active, total) = (kilobytes(active), kilobytes(total));
        writeln!(f, "Active / Total Size (% used)       : {active:.2}K / {total:.0}K ({used:.1}%)")?;
        let (smallest, largest) = (kilobytes(self.smallest), kilobytes(self.largest));
        write!(f, "Minimum / Average / Maximum Object : {smallest:.2}K / {:.2}K / {largest:.2}K", self.average_kb())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "slabinfo - version: 2.1\n\
        # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit>\n\
        :0000256             10     20    256   16    1 : tunables    0    0    0 : slabdata      2      3      0\n\
        dentry              300    400    192   21    1 : tunables    0    0    0 : slabdata     20     20      0\n\
        not a line\n";

    #[test]
    fn columns_are_found_whatever_the_name() {
        let slabs = read(TABLE).unwrap();
        assert_eq!(slabs.iter().map(|slab| slab.name.as_str()).collect::<Vec<_>>(), ["dentry", ":0000256"]);
        let odd = &slabs[1];
        assert_eq!((odd.active, odd.objects, odd.object_size, odd.slabs, odd.active_slabs), (10, 20, 256, 3, 2));
        assert_eq!((odd.use_percent(), odd.cache_size_kb(4096), odd.active_size_kb(4096)), (50, 8, 4.0));
    }

    #[test]
    fn the_summary_reads_in_five_lines() {
        let summary = Summary::of(&read(TABLE).unwrap());
        assert_eq!(
            summary.to_string(),
            "Active / Total Objects (% used)    : 310 / 420 (73.8%)\n\
             Active / Total Slabs (% used)      : 22 / 23 (95.7%)\n\
             Active / Total Caches (% used)     : 2 / 2 (100.0%)\n\
             Active / Total Size (% used)       : 58.75K / 80K (73.4%)\n\
             Minimum / Average / Maximum Object : 0.19K / 0.19K / 0.25K"
        );
    }

    #[test]
    fn other_versions_are_named() {
        let error = read("slabinfo - version: 3.0\n").unwrap_err();
        assert!(error.to_string().contains("This version 3.0 of slabinfo"), "{error}");
    }
}
