//! `rex::pledge` and `rex::narrow`: rights that a script gives up for the rest of its run.

use super::{Surface, log};
use crate::channel::Channel;
use crate::engine::line;
use crate::error::{Error, Io, Result};
use crate::text::pledge;
use rex_protocol::run::{NARROWING, Narrow, Narrowed};
use rex_protocol::text::Text;
use rex_protocol::worker::{Level, Log};
use rhai::{Array, FuncRegistration, ImmutableString, Module, NativeCallContext};

/// Registers the module `rex`.
pub fn register(surface: &mut Surface) {
    let mut module = Module::new();
    let channel = surface.channel();
    FuncRegistration::new("pledge")
        .with_volatility(true)
        .set_into_module(&mut module, move |actions: Array| pledge(&channel, actions));
    let channel = surface.channel();
    FuncRegistration::new("narrow")
        .with_volatility(true)
        .set_into_module(&mut module, move |context: NativeCallContext<'_>, policy: &str| {
            narrow(&channel, &context, policy)
        });
    surface.module("rex", module);
}

/// From now on only these actions.
fn pledge(channel: &Channel, actions: Array) -> Result<()> {
    let names: Option<Vec<ImmutableString>> = actions.into_iter().map(|name| name.try_cast()).collect();
    let names = names.ok_or_else(|| invalid("actions are named by strings"))?;
    let policy = pledge::policy(names.iter().map(ImmutableString::as_str)).map_err(invalid)?;
    // What there is to warn about, a list of actions of several types, is not the script's doing.
    obey(channel, &policy).map(drop)
}

/// From now on only what this policy allows as well. What its author should know goes to the log.
fn narrow(channel: &Channel, context: &NativeCallContext<'_>, policy: &str) -> Result<()> {
    for warning in obey(channel, policy)?.warnings {
        let (line, function) = (line(context.call_position()), Some(Text::cut("narrow")));
        channel.log(Log { level: Level::Warn, message: Text::cut(log::message(&warning)), line, function });
    }
    Ok(())
}

fn obey(channel: &Channel, policy: &str) -> Result<Narrowed> {
    let policy = Text::try_from(policy.to_owned())
        .map_err(|error| invalid(format!("the policy has {} bytes, at most {NARROWING} are taken", error.length)))?;
    let narrowed = channel.call(&Narrow { policy });
    Ok(narrowed.map_err(|failure| Error::because(&failure, Io::InvalidArguments, failure.message.to_string()))?)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Io::InvalidArguments, message)
}
