//! Option objects: `XOptions()` makes a builder, its setters change it and give a copy, `build()` makes
//! the options.
//!
//! One builder serves all of them. Names and types of the setters are those of the struct's fields, found
//! out once by deserializing from a source that only looks (`fields`): a struct needs no code for its setters, but for
//! fields of types that scripts hold (`Options::setters`).

mod fields;
mod values;

use super::Surface;
use crate::error::Result;
use fields::FieldType;
use rhai::Variant;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;
use values::Value;

/// Options that scripts build. Each field is a setter: a `bool`, `i64`, `u32`, `u64` or `String`, or an `Option`
/// of one. Fields of other types are `#[serde(skip)]`, and have a setter through [`Options::setters`].
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

    /// Adds the setters of the fields that hold values of other types.
    fn setters(_setters: &mut Setters<'_, Self>) {}

    /// Looks at the whole; the error is what `build` raises.
    fn check(&self) -> std::result::Result<(), String> {
        Ok(())
    }
}

/// What puts a value of another type into its field.
type Assignment<O> = Rc<dyn Fn(&mut O)>;

/// Options under construction.
pub struct Builder<O> {
    values: BTreeMap<&'static str, Value>,
    assignments: BTreeMap<&'static str, Assignment<O>>,
}

// Derived implementations would ask the same of `O`.
impl<O> Clone for Builder<O> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), assignments: self.assignments.clone() }
    }
}

impl<O: Options> Builder<O> {
    fn new() -> Self {
        Self { values: BTreeMap::new(), assignments: BTreeMap::new() }
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

    fn assign(&mut self, field: &'static str, assignment: Assignment<O>) -> Self {
        self.assignments.insert(field, assignment);
        self.clone()
    }

    fn build(&self) -> Result<O> {
        let mut options: O = values::assemble(&self.values).map_err(|fault| match fault {
            values::Fault::Missing(field) => O::missing(field),
            values::Fault::Other(message) => format!("Invalid arguments: {message}"),
        })?;
        for assignment in self.assignments.values() {
            assignment(&mut options);
        }
        options.check()?;
        Ok(options)
    }
}

/// Where the setters of fields with other types are added.
pub struct Setters<'s, O> {
    surface: &'s mut Surface,
    options: PhantomData<fn() -> O>,
}

impl<O: Options> Setters<'_, O> {
    /// A setter that takes a value of type `T`, which `assign` puts into its field.
    pub fn value<T: Variant + Clone>(&mut self, field: &'static str, assign: fn(&mut O, T)) {
        self.parsed(field, Ok, assign);
    }

    /// A setter that takes a value of type `T`, such as an array, and makes of it what `assign` puts into the field. An
    /// error is raised by the setter.
    pub fn parsed<T: Variant + Clone, V: Clone + 'static>(
        &mut self,
        field: &'static str,
        parse: fn(T) -> std::result::Result<V, String>,
        assign: fn(&mut O, V),
    ) {
        self.surface.function(field, move |builder: &mut Builder<O>, value: T| -> Result<Builder<O>> {
            let value = parse(value)?;
            Ok(builder.assign(field, Rc::new(move |options| assign(options, value.clone()))))
        });
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
    O::setters(&mut Setters { surface, options: PhantomData });
    surface.function("build", |builder: &mut Builder<O>| builder.build());
}

/// What is said of a number that does not fit.
pub(crate) const OUT_OF_RANGE: &str = "out of range integral type conversion attempted";

#[cfg(test)]
mod tests {
    use super::*;
    use rhai::Array;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Deserialize)]
    struct Trip {
        days: i64,
        #[serde(skip)]
        stops: Vec<String>,
        #[serde(skip)]
        seat: Option<char>,
    }

    impl Options for Trip {
        const NAME: &'static str = "Trip";

        fn setters(setters: &mut Setters<'_, Self>) {
            setters.value("seat", |trip, seat: char| trip.seat = Some(seat));
            setters.parsed("stops", stops, |trip, stops| trip.stops = stops);
        }
    }

    fn stops(given: Array) -> std::result::Result<Vec<String>, String> {
        given.into_iter().map(|stop| stop.into_string().map_err(|of| format!("a stop is no {of}"))).collect()
    }

    fn built(script: &str) -> std::result::Result<Trip, String> {
        let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let channel = Rc::new(crate::channel::Channel::new(socket.into()));
        let mut surface = Surface::new(rhai::Engine::new(), &channel);
        register::<Trip>(&mut surface);
        surface.finish().0.eval(script).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_hold_values_of_other_types() {
        let trip =
            |stops: &[&str], seat| Trip { days: 2, stops: stops.iter().map(ToString::to_string).collect(), seat };
        assert_eq!(built("Trip().days(2).build()"), Ok(trip(&[], None)));
        let script = r#"let trip = Trip().stops(["a"]).seat('x'); trip.stops(["b", "c"]); trip.days(2).build()"#;
        assert_eq!(built(script), Ok(trip(&["b", "c"], Some('x'))));
    }

    #[test]
    fn setters_refuse() {
        assert!(built("Trip().stops([1])").is_err_and(|error| error.contains("a stop is no i64")));
        assert!(built("Trip().seat(1)").is_err_and(|error| error.contains("Function not found: seat (Trip, i64)")));
    }
}
