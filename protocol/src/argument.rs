//! Typed arguments of a script, in their JSON form: `{"name": {"stringValue": "x"}}`.
//!
//! Client and worker use the same types; the session passes the text on and never parses it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One argument or element, an object with exactly one key that names its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Argument {
    /// A string.
    #[serde(rename = "stringValue")]
    String(String),
    /// An integer of 32 bits.
    #[serde(rename = "integerValue")]
    Integer(i32),
    /// An integer of 64 bits.
    #[serde(rename = "longValue")]
    Long(i64),
    /// A floating-point number.
    #[serde(rename = "doubleValue")]
    Double(f64),
    /// True or false.
    #[serde(rename = "booleanValue")]
    Boolean(bool),
    /// An array.
    #[serde(rename = "listValue")]
    List(Vec<Argument>),
    /// A map.
    #[serde(rename = "mapValue")]
    Map(BTreeMap<String, Argument>),
}

/// All arguments of a run by name; of a repeated name the last counts.
pub type Arguments = BTreeMap<String, Argument>;

/// How deep values may nest: the argument is the first level, elements of its list or map the second.
pub const DEPTH: usize = 2;

impl Argument {
    /// Whether the value nests deeper than [`DEPTH`] levels. An empty list or map on the last level is allowed.
    pub fn is_too_deep(&self) -> bool {
        self.exceeds(DEPTH)
    }

    fn exceeds(&self, levels: usize) -> bool {
        let Some(below) = levels.checked_sub(1) else { return true };
        match self {
            Argument::List(items) => items.iter().any(|item| item.exceeds(below)),
            Argument::Map(items) => items.values().any(|item| item.exceeds(below)),
            _ => false,
        }
    }
}

macro_rules! from {
    ($($type:ty: $variant:ident),* $(,)?) => {
        $(impl From<$type> for Argument {
            fn from(value: $type) -> Self {
                Argument::$variant(value.into())
            }
        })*
    };
}
from! { &str: String, String: String, i32: Integer, i64: Long, f64: Double, bool: Boolean }

impl<A: Into<Argument>> From<Vec<A>> for Argument {
    fn from(items: Vec<A>) -> Self {
        Argument::List(items.into_iter().map(Into::into).collect())
    }
}

impl From<BTreeMap<String, Argument>> for Argument {
    fn from(items: BTreeMap<String, Argument>) -> Self {
        Argument::Map(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_levels_are_allowed() {
        let list = |items| Argument::List(items);
        assert!(!Argument::Boolean(true).is_too_deep());
        assert!(!list(vec![Argument::Long(1), list(vec![])]).is_too_deep());
        assert!(list(vec![list(vec![Argument::Long(1)])]).is_too_deep());
    }
}
