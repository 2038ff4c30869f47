//! `import`: a module is a file like any other, opened and read through the session.

use super::dir::{Directory, How};
use super::file::utf8;
use super::{Surface, refuse};
use crate::channel::Channel;
use crate::text::path;
use rex_protocol::Failure;
use rex_protocol::fs::OpenDir;
use rhai::{Dynamic, Engine, EvalAltResult, GlobalRuntimeState, Module, ModuleResolver, Position, Scope, Shared};
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

/// How deep modules may import modules.
const DEPTH: usize = 32;

/// Registers the resolver.
pub fn register(surface: &mut Surface) {
    let channel = surface.channel();
    surface.engine().set_module_resolver(Resolver { channel, depth: Cell::new(0) });
}

struct Resolver {
    channel: Rc<Channel>,
    depth: Cell<usize>,
}

type Resolved<T> = Result<T, Box<EvalAltResult>>;

impl ModuleResolver for Resolver {
    fn resolve(&self, engine: &Engine, _: Option<&str>, path: &str, position: Position) -> Resolved<Shared<Module>> {
        self.module(engine, &mut engine.new_global_runtime_state(), &mut Scope::new(), path, position)
    }

    // With the importer's state, so that operations and calls go on counting.
    fn resolve_raw(
        &self,
        engine: &Engine,
        global: &mut GlobalRuntimeState,
        scope: &mut Scope<'_>,
        path: &str,
        position: Position,
    ) -> Resolved<Shared<Module>> {
        self.module(engine, global, scope, path, position)
    }
}

impl Resolver {
    fn module(
        &self,
        engine: &Engine,
        global: &mut GlobalRuntimeState,
        scope: &mut Scope<'_>,
        path: &str,
        position: Position,
    ) -> Resolved<Shared<Module>> {
        let depth = self.depth.get();
        if depth == DEPTH {
            return Err(EvalAltResult::ErrorStackOverflow(position).into());
        }
        self.depth.set(depth + 1);
        let module = self.load(engine, global, scope, path).map_err(|error| match *error {
            // What may not be caught stays so.
            EvalAltResult::ErrorParsing(..) => EvalAltResult::ErrorInModule(path.into(), error, position).into(),
            error if error.is_system_exception() => error.into(),
            EvalAltResult::ErrorModuleNotFound(..) => EvalAltResult::ErrorModuleNotFound(path.into(), position).into(),
            error => EvalAltResult::ErrorInModule(path.into(), error.into(), position).into(),
        });
        self.depth.set(depth);
        module.map(Shared::new)
    }

    fn load(
        &self,
        engine: &Engine,
        global: &mut GlobalRuntimeState,
        scope: &mut Scope<'_>,
        path: &str,
    ) -> Resolved<Module> {
        let text = self.read(path)?;
        let mut script = engine.compile(text)?;
        script.set_source(path);
        Module::eval_ast_as_new_raw(engine, scope, global, &script)
    }

    fn read(&self, path: &str) -> Resolved<String> {
        if !path.starts_with('/') {
            let message: Dynamic = format!("`{path}` is not absolute: a script has no directory to import from").into();
            return Err(EvalAltResult::ErrorRuntime(message, Position::NONE).into());
        }
        let file = if Path::new(path).extension().is_some() { path.to_owned() } else { format!("{path}.rhai") };
        let (whole, place) = (path::absolute(&file)?, path::place(&file, "module")?);
        let told = |failure: Failure| -> Box<EvalAltResult> {
            if refuse::is_gone(&failure) {
                return EvalAltResult::ErrorModuleNotFound(path.into(), Position::NONE).into();
            }
            refuse::general(&failure, &whole).into()
        };
        let request = OpenDir { path: place.dir, follow: true, create: None };
        let dir = Directory::try_open(&self.channel, &request).map_err(told)?;
        let file = dir.try_file(&place.name, How { follow: true, ..How::READ }).map_err(told)?;
        utf8(file.content()?)
    }
}
