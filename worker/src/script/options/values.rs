//! Putting a struct together from the values that were set.

use serde::de::value::MapDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use std::collections::BTreeMap;
use std::fmt;

/// The value of a field.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Flag(bool),
    Integer(i64),
    Text(String),
}

/// The struct whose fields have these values.
pub(super) fn assemble<O: DeserializeOwned>(values: &BTreeMap<&'static str, Value>) -> Result<O, Fault> {
    O::deserialize(MapDeserializer::new(values.iter().map(|(field, value)| (*field, value.clone()))))
}

/// Why there is no struct.
#[derive(Debug)]
pub(super) enum Fault {
    /// A field has neither value nor default.
    Missing(&'static str),
    /// Something else.
    Other(String),
}

impl IntoDeserializer<'_, Fault> for Value {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Value {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Value::Flag(flag) => visitor.visit_bool(flag),
            Value::Integer(number) => visitor.visit_i64(number),
            Value::Text(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing(field) => write!(f, "`{field}` is missing"),
            Fault::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Fault::Other(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Fault::Missing(field)
    }
}
