//! Objects that hold some values and do nothing: their properties, which are also what their map holds.

use super::{Surface, item};
use rhai::{Dynamic, Map, Variant};

/// A property: its name, and what it is.
pub(super) type Property<T> = (&'static str, fn(&T) -> Dynamic);

/// Registers the properties of `T`, and `to_map`.
pub(super) fn register<T: Variant + Clone>(surface: &mut Surface, properties: &'static [Property<T>]) {
    add(surface, properties);
    surface.function("to_map", move |record: &mut T| to_map(record, properties));
}

/// Registers properties that are not in the map.
pub(super) fn add<T: Variant + Clone>(surface: &mut Surface, properties: &'static [Property<T>]) {
    for (name, get) in properties {
        surface.property(name, move |record: &mut T| get(record));
    }
}

/// The map with these properties of a record.
pub(super) fn to_map<T>(record: &T, properties: &[Property<T>]) -> Map {
    properties.iter().map(|(name, get)| item(name, get(record))).collect()
}
