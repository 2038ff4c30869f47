//! Finding out the fields of a struct: a deserializer that gives every field a value of whatever type it asks
//! for, and takes notes.

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::cell::RefCell;
use std::fmt;

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldType {
    /// True or false.
    Flag,
    /// A string.
    Text,
    /// A number of 64 bits.
    Integer,
    /// A number from 0 to `most`.
    Unsigned {
        /// The largest.
        most: u64,
    },
}

/// The fields of `O`, in their order. Empty for what is no struct, or has a field of another type.
pub(super) fn of<O: DeserializeOwned>() -> Vec<(&'static str, FieldType)> {
    let notes = RefCell::default();
    match O::deserialize(Struct(&notes)) {
        Ok(_) => notes.into_inner(),
        Err(_) => Vec::new(),
    }
}

type Notes = RefCell<Vec<(&'static str, FieldType)>>;

/// Where the whole struct comes from.
struct Struct<'n>(&'n Notes);

impl<'de> Deserializer<'de> for Struct<'_> {
    type Error = Unknown;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unknown> {
        visitor.visit_map(Fields { notes: self.0, rest: fields, current: "" })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Unknown> {
        Err(Unknown)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// One field after the other.
struct Fields<'n> {
    notes: &'n Notes,
    rest: &'static [&'static str],
    current: &'static str,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Unknown;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unknown> {
        let Some((first, rest)) = self.rest.split_first() else { return Ok(None) };
        (self.current, self.rest) = (first, rest);
        seed.deserialize(de::value::StrDeserializer::new(first)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unknown> {
        seed.deserialize(Field { notes: self.notes, name: self.current })
    }
}

/// Where the value of one field comes from.
struct Field<'n> {
    notes: &'n Notes,
    name: &'static str,
}

impl Field<'_> {
    fn is(&self, of: FieldType) {
        self.notes.borrow_mut().push((self.name, of));
    }
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = Unknown;

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unknown> {
        self.is(FieldType::Flag);
        visitor.visit_bool(false)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unknown> {
        self.is(FieldType::Integer);
        visitor.visit_i64(0)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unknown> {
        self.is(FieldType::Unsigned { most: u64::from(u32::MAX) });
        visitor.visit_u32(0)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unknown> {
        self.is(FieldType::Unsigned { most: u64::MAX });
        visitor.visit_u64(0)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unknown> {
        self.is(FieldType::Text);
        visitor.visit_str("")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unknown> {
        visitor.visit_some(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Unknown> {
        Err(Unknown)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u128 f32 f64 char str bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

/// A field of a type that no setter takes.
#[derive(Debug)]
pub(super) struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field of a type that no setter takes")
    }
}

impl std::error::Error for Unknown {}

impl de::Error for Unknown {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct All {
        flag: bool,
        text: String,
        number: Option<i64>,
        count: u32,
        size: Option<u64>,
    }

    #[test]
    fn finds_names_and_types() {
        let unsigned = |most| FieldType::Unsigned { most };
        assert_eq!(
            of::<All>(),
            [
                ("flag", FieldType::Flag),
                ("text", FieldType::Text),
                ("number", FieldType::Integer),
                ("count", unsigned(u64::from(u32::MAX))),
                ("size", unsigned(u64::MAX)),
            ]
        );
    }
}
