//! Option objects: `XOptions()` makes a builder, its setters change it and give a copy, `build()` makes
//! the options.
//!
//! One builder serves all of them. Names and types of the setters are those of the struct's fields, found
//! out once by deserializing from a source that only looks (`fields`): a struct needs no code for its setters.

mod fields;
mod values;

use super::Surface;
use crate::error::Result;
use fields::FieldType;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use values::Value;

/// Options that scripts build. Each field is a setter: a `bool`, `i64`, `u32`, `u64` or `String`, or an `Option`
/// of one.
pub trait Options: DeserializeOwned + Clone + 'static {
    /// The name of the function that makes the builder.
    const NAME: &'static str;

    /// What to say where `field` was not given.
    fn missing(field: &str) -> String {
        format!("Invalid arguments: Field not initialized: {field}")
    }

    /// Flags that setting the flag `field` sets as well.
    fn implied(_field: &str) -> &'static [&'static str] {
        &[]
    }

    /// Looks at the whole; the error is what `build` raises.
    fn check(&self) -> std::result::Result<(), String> {
        Ok(())
    }
}

/// Options under construction.
pub struct Builder<O> {
    values: BTreeMap<&'static str, Value>,
    options: PhantomData<fn() -> O>,
}

// Derived implementations would ask the same of `O`.
impl<O> Clone for Builder<O> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), options: PhantomData }
    }
}

impl<O: Options> Builder<O> {
    fn new() -> Self {
        Self { values: BTreeMap::new(), options: PhantomData }
    }

    fn set(&mut self, field: &'static str, value: Value) -> Self {
        if matches!(value, Value::Flag(true)) {
            for implied in O::implied(field) {
                self.values.insert(implied, Value::Flag(true));
            }
        }
        self.values.insert(field, value);
        self.clone()
    }

    fn build(&self) -> Result<O> {
        let options: O = values::assemble(&self.values).map_err(|fault| match fault {
            values::Fault::Missing(field) => O::missing(field),
            values::Fault::Other(message) => format!("Invalid arguments: {message}"),
        })?;
        options.check()?;
        Ok(options)
    }
}

/// Registers the builder of `O` with its setters; the options themselves are values of type `O`.
pub fn register<O: Options>(surface: &mut Surface) {
    surface.named::<Builder<O>>(O::NAME);
    surface.named::<O>(O::NAME);
    surface.function(O::NAME, Builder::<O>::new);
    for (field, of) in fields::of::<O>() {
        match of {
            FieldType::Flag => surface
                .function(field, move |builder: &mut Builder<O>, flag: bool| builder.set(field, Value::Flag(flag))),
            FieldType::Text => surface
                .function(field, move |builder: &mut Builder<O>, text: String| builder.set(field, Value::Text(text))),
            FieldType::Integer => surface.function(field, move |builder: &mut Builder<O>, number: i64| {
                builder.set(field, Value::Integer(number))
            }),
            FieldType::Unsigned { most } => {
                surface.function(field, move |builder: &mut Builder<O>, number: i64| -> Result<Builder<O>> {
                    if u64::try_from(number).is_ok_and(|number| number <= most) {
                        return Ok(builder.set(field, Value::Integer(number)));
                    }
                    Err(format!("Parameter conversion failed for {field}: {OUT_OF_RANGE}").into())
                });
            }
        }
    }
    surface.function("build", |builder: &mut Builder<O>| builder.build());
}

/// What is said of a number that does not fit.
pub(crate) const OUT_OF_RANGE: &str = "out of range integral type conversion attempted";
