//! What scripts can call.
//!
//! Each domain registers its functions on a [`Surface`]. A function that needs the system asks the
//! session; all else is computed here.

pub mod archive;
pub mod attributes;
pub mod basics;
pub mod certificate;
pub mod command;
pub mod content;
pub mod core_dump;
pub mod date;
pub mod dir;
pub mod elf;
pub mod entry;
pub mod execute;
pub mod file;
mod find;
pub mod gzip;
pub mod import;
pub mod json;
pub mod kinds;
pub mod link;
pub mod log;
pub mod metadata;
pub mod moving;
mod network;
pub mod options;
pub mod process;
mod reading;
mod record;
mod recursive;
pub mod refuse;
pub mod report;
pub mod rights;
mod seen;
pub mod service;
pub mod size;
mod source;
pub mod system;
mod systemd;
pub mod transport;
mod usage;
mod walk;

use crate::channel::Channel;
use crate::value::Texts;
use rhai::{Dynamic, Engine, FuncRegistration, ImmutableString, Module, RhaiNativeFunc, Variant};
use std::fmt::Display;
use std::rc::Rc;

/// The functions, types and constants that scripts see, while they are being registered.
pub struct Surface {
    engine: Engine,
    channel: Rc<Channel>,
    texts: Rc<Texts>,
}

impl Surface {
    /// Begins with what `engine` has already.
    pub fn new(engine: Engine, channel: &Rc<Channel>) -> Self {
        Self { engine, channel: Rc::clone(channel), texts: Rc::default() }
    }

    /// The engine and the text forms, all registered.
    pub fn finish(self) -> (Engine, Rc<Texts>) {
        (self.engine, self.texts)
    }

    /// The way to the session.
    pub fn channel(&self) -> Rc<Channel> {
        Rc::clone(&self.channel)
    }

    /// How values read.
    pub fn texts(&self) -> Rc<Texts> {
        Rc::clone(&self.texts)
    }

    /// The engine itself, for what only it can do.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// A function.
    pub fn function<A: 'static, const N: usize, const X: bool, R, const F: bool>(
        &mut self,
        name: &str,
        function: impl RhaiNativeFunc<A, N, X, R, F> + 'static,
    ) where
        R: Variant + Clone,
    {
        self.engine.register_fn(name, function);
    }

    /// A type that scripts hold: its name, and its text form wherever it is shown.
    pub fn shown<T: Variant + Clone + Display>(&mut self, name: &str) {
        self.engine.register_type_with_name::<T>(name);
        self.texts.add::<T>();
        for function in [rhai::FUNC_TO_STRING, rhai::FUNC_TO_DEBUG] {
            // Pure, so that constants can be shown too.
            FuncRegistration::new(function)
                .with_purity(true)
                .register_into_engine(&mut self.engine, |value: &mut T| ImmutableString::from(value.to_string()));
        }
    }

    /// A type that scripts hold, of which no more than its name is to be told.
    pub fn named<T: Variant + Clone>(&mut self, name: &str) {
        self.engine.register_type_with_name::<T>(name);
        self.texts.add_named::<T>(name);
    }

    /// A type whose values can be compared for equality.
    pub fn comparable<T: Variant + Clone + PartialEq>(&mut self) {
        self.engine.register_fn("==", |a: T, b: T| a == b);
        self.engine.register_fn("!=", |a: T, b: T| a != b);
    }

    /// A module of constants.
    pub fn constants<T: Variant + Clone>(&mut self, module: &str, constants: impl IntoIterator<Item = (String, T)>) {
        let mut namespace = Module::new();
        for (name, value) in constants {
            namespace.set_var(name, value);
        }
        self.module(module, namespace);
    }

    /// A module.
    pub fn module(&mut self, name: &str, module: Module) {
        self.engine.register_static_module(name, module.into());
    }

    /// A property.
    pub fn property<A: 'static, const X: bool, R: Variant + Clone, const F: bool>(
        &mut self,
        name: &str,
        get: impl RhaiNativeFunc<A, 1, X, R, F> + 'static,
    ) {
        FuncRegistration::new_getter(name).register_into_engine(&mut self.engine, get);
    }
}

/// Registers everything.
pub fn register(surface: &mut Surface) {
    kinds::register(surface);
    log::register(surface);
    report::register(surface);
    basics::register(surface);
    json::register(surface);
    date::register(surface);
    size::register(surface);
    metadata::register(surface);
    entry::register(surface);
    file::register(surface);
    gzip::register(surface);
    archive::register(surface);
    certificate::register(surface);
    elf::register(surface);
    dir::register(surface);
    link::register(surface);
    attributes::register(surface);
    content::register(surface);
    moving::register(surface);
    find::register(surface);
    usage::register(surface);
    execute::register(surface);
    core_dump::register(surface);
    process::register(surface);
    service::register(surface);
    systemd::register(surface);
    transport::register(surface);
    system::register(surface);
    network::register(surface);
    command::register(surface);
    import::register(surface);
    rights::register(surface);
}

/// A number of the system as scripts count: all of those that occur fit.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A value for an object's map.
pub(crate) fn item(key: &str, value: impl Into<Dynamic>) -> (rhai::Identifier, Dynamic) {
    (key.into(), value.into())
}
