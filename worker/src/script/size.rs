//! Sizes of files as scripts give them: units, and ranges of sizes.

use super::Surface;
use crate::error::{Error, Io, Result};
use rhai::{FuncRegistration, Module};

/// What a number of a size counts. The number of bytes in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeUnit(i64);

impl SizeUnit {
    /// Bytes themselves.
    pub const BYTES: Self = Self(1);

    const ALL: &'static [(&'static str, Self)] = &[
        ("BYTES", Self::BYTES),
        ("KILOBYTES", Self(1_000)),
        ("KIBIBYTES", Self(1 << 10)),
        ("MEGABYTES", Self(1_000_000)),
        ("MEBIBYTES", Self(1 << 20)),
        ("GIGABYTES", Self(1_000_000_000)),
        ("GIBIBYTES", Self(1 << 30)),
    ];

    /// How many bytes `count` of this unit are. More than a file can have is an error.
    pub fn bytes(self, count: i64) -> std::result::Result<i64, Error> {
        count
            .checked_mul(self.0)
            .ok_or_else(|| Error::new(Io::InvalidArguments, "Invalid arguments: Size is out of range"))
    }
}

impl Default for SizeUnit {
    fn default() -> Self {
        Self::BYTES
    }
}

/// Sizes between two bounds, both included. A lower bound above the upper one leaves none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeRange {
    least: Option<i64>,
    most: Option<i64>,
}

impl SizeRange {
    fn new(least: Option<i64>, most: Option<i64>, unit: SizeUnit) -> Result<Self> {
        let bytes = |count: Option<i64>| count.map(|count| unit.bytes(count)).transpose();
        Ok(Self { least: bytes(least)?, most: bytes(most)? })
    }

    /// Whether a file of `size` bytes is within.
    pub fn contains(&self, size: u64) -> bool {
        let above = |least| i128::from(size) >= i128::from(least);
        let below = |most| i128::from(size) <= i128::from(most);
        self.least.is_none_or(above) && self.most.is_none_or(below)
    }

    /// Refuses a bound that no size can have, in the words of the options that hold the range.
    pub fn check(&self) -> std::result::Result<(), String> {
        for (name, bound) in [("minimum", self.least), ("maximum", self.most)] {
            if bound.is_some_and(|bound| bound < 0) {
                return Err(format!("Validation error: Size range {name} must be non-negative"));
            }
        }
        Ok(())
    }
}

/// Registers the types.
pub fn register(surface: &mut Surface) {
    surface.named::<SizeUnit>("SizeUnit");
    surface.constants("SizeUnit", SizeUnit::ALL.iter().map(|(name, unit)| ((*name).to_owned(), *unit)));
    surface.named::<SizeRange>("SizeRange");
    let mut ranges = Module::new();
    FuncRegistration::new("min_only")
        .set_into_module(&mut ranges, |least: i64, unit: SizeUnit| SizeRange::new(Some(least), None, unit));
    FuncRegistration::new("max_only")
        .set_into_module(&mut ranges, |most: i64, unit: SizeUnit| SizeRange::new(None, Some(most), unit));
    FuncRegistration::new("between").set_into_module(&mut ranges, |least: i64, most: i64, unit: SizeUnit| {
        SizeRange::new(Some(least), Some(most), unit)
    });
    surface.module("SizeRange", ranges);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_do_not_wrap() {
        let kibibytes = SizeUnit(1 << 10);
        assert_eq!(kibibytes.bytes(-2).unwrap(), -2048);
        assert_eq!(kibibytes.bytes((1 << 53) - 1).unwrap(), i64::MAX - 1023);
        for count in [1 << 53, 1 << 54, i64::MAX, i64::MIN] {
            assert_eq!(
                kibibytes.bytes(count).unwrap_err().message(),
                "Invalid arguments: Size is out of range",
                "{count}"
            );
        }
    }

    #[test]
    fn ranges_include_their_bounds() {
        let range = |least, most| SizeRange::new(least, most, SizeUnit(10)).unwrap();
        let within = |range: SizeRange| [9, 10, 20, 21, u64::MAX].map(|size| range.contains(size));
        assert_eq!(within(range(Some(1), Some(2))), [false, true, true, false, false]);
        assert_eq!(within(range(Some(1), None)), [false, true, true, true, true]);
        assert_eq!(within(range(None, Some(2))), [true, true, true, false, false]);
        assert_eq!(within(range(Some(2), Some(1))), [false; 5]);
        assert_eq!(range(Some(1), Some(2)).check(), Ok(()));
        assert_eq!(
            range(Some(-1), None).check(),
            Err("Validation error: Size range minimum must be non-negative".into())
        );
        assert_eq!(
            range(None, Some(-1)).check(),
            Err("Validation error: Size range maximum must be non-negative".into())
        );
    }
}
