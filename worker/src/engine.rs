//! The language: what a script may write, and how much.

use crate::channel::Channel;
use crate::script::{self, Surface};
use crate::value::Texts;
use rex_protocol::limits::Limits;
use rex_protocol::text::Text;
use rex_protocol::worker::{Level, Log};
use rhai::packages::{Package, StandardPackage};
use rhai::{Engine, Position};
use std::rc::Rc;

/// Depth of calls.
const CALLS: usize = 64;
/// Depth of an expression at top level, and in a function.
const EXPRESSIONS: (usize, usize) = (64, 32);
/// Variables that live at one time; functions and modules that one script defines.
const VARIABLES: usize = 1_000_000;
const FUNCTIONS: usize = 100_000;
const MODULES: usize = 1_000;

/// The engine with everything that scripts can call, built before the first script is there.
pub struct Interpreter {
    engine: Engine,
    texts: Rc<Texts>,
}

impl Interpreter {
    /// An engine whose functions ask on `channel`.
    pub fn new(channel: &Rc<Channel>) -> Self {
        let mut engine = Engine::new_raw();
        engine.register_global_module(StandardPackage::new().as_shared_module());
        engine.set_strict_variables(true);
        engine.disable_symbol("eval").disable_symbol("print");
        // Interning hashes each text as a whole, which costs more than it saves.
        engine.set_max_strings_interned(0);
        engine.set_max_expr_depths(EXPRESSIONS.0, EXPRESSIONS.1);
        engine.set_max_call_levels(CALLS);
        engine.set_max_variables(VARIABLES);
        engine.set_max_functions(FUNCTIONS);
        engine.set_max_modules(MODULES);
        // Sizes of texts, arrays and maps have no limit here on purpose: the engine would walk the whole of an
        // array after each call that could change it, so that filling one would take the square of its
        // length. The memory limit of the process covers them (`sys::Memory`).
        log_debug(&mut engine, channel);
        let mut surface = Surface::new(engine, channel);
        script::register(&mut surface);
        let (engine, texts) = surface.finish();
        Self { engine, texts }
    }

    /// Holds the script to the limits that are the interpreter's to hold.
    pub fn limit(&mut self, limits: &Limits) {
        // To the engine 0 means no limit.
        self.engine.set_max_operations(limits.operations.max(1));
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How values read.
    pub fn texts(&self) -> &Texts {
        &self.texts
    }
}

/// `debug(x)` logs the value in its debug form, a text without its quotes.
fn log_debug(engine: &mut Engine, channel: &Rc<Channel>) {
    let channel = Rc::clone(channel);
    engine.on_debug(move |text, _source, position| {
        if channel.logs(Level::Debug) {
            let message = script::log::message(text.trim_matches('"'));
            channel.log(Log { level: Level::Debug, message: Text::cut(message), line: line(position), function: None });
        }
    });
}

/// The line of a position, 0 if unknown.
pub(crate) fn line(position: Position) -> u32 {
    position.line().and_then(|line| u32::try_from(line).ok()).unwrap_or(0)
}
