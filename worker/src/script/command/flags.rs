//! Flags of commands: constants and functions in a module named like the command, of one type each.

use crate::error::{Error, Io, Result};
use crate::script::Surface;
use rhai::{Array, FuncRegistration, Module, NativeCallContext, RhaiNativeFunc, Variant};
use std::fmt::Debug;

/// A flag of one command.
pub(super) trait Flag: Variant + Clone + Copy + Debug + PartialEq {
    /// The command.
    const COMMAND: &'static str;
    /// The name of the flags' type.
    const TYPE: &'static str;
}

/// The flags of one command, while they are being named.
pub(super) struct Flags<F>(Module, std::marker::PhantomData<F>);

impl<F: Flag> Flags<F> {
    /// No flags yet.
    pub(super) fn new() -> Self {
        Self(Module::new(), std::marker::PhantomData)
    }

    /// A flag under all its names.
    pub(super) fn flag(mut self, names: &[&str], flag: F) -> Self {
        for name in names {
            self.0.set_var(*name, flag);
        }
        self
    }

    /// A flag with values, made by a function.
    pub(super) fn made<A: 'static, const N: usize>(
        mut self,
        names: &[&str],
        make: impl RhaiNativeFunc<A, N, false, F, false> + Copy + 'static,
    ) -> Self {
        for name in names {
            FuncRegistration::new(*name).set_into_module(&mut self.0, make);
        }
        self
    }

    /// Makes the module.
    pub(super) fn register(self, surface: &mut Surface) {
        surface.named::<F>(F::TYPE);
        surface.module(F::COMMAND, self.0);
    }
}

/// The flags of an array. Anything else in it is an error, found before all else.
pub(super) fn read<F: Flag>(context: &NativeCallContext<'_>, flags: &Array) -> Result<Vec<F>> {
    Ok(parse(context, flags).map_err(|message| Error::new(Io::Other, message))?)
}

/// As [`read`], for commands whose errors have another kind: what to say.
pub(super) fn parse<F: Flag>(context: &NativeCallContext<'_>, flags: &Array) -> std::result::Result<Vec<F>, String> {
    flags
        .iter()
        .map(|value| {
            value.clone().try_cast::<F>().ok_or_else(|| {
                let got = context.engine().map_type_name(value.type_name());
                format!("{}: expected {} flag, got {got}", F::COMMAND, F::TYPE)
            })
        })
        .collect()
}
