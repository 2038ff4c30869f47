//! The error that ends a script: what kind of fault it is, and how it reads.

use crate::channel::Channel;
use crate::error::{Kind, Origin};
use crate::value::Texts;
use rex_protocol::limits::LimitName;
use rex_protocol::text::Text;
use rex_protocol::worker::{FaultClass, ScriptFault};
use rhai::{Dynamic, EvalAltResult, Map};

/// What an uncaught error is told as. The class follows from what the session answered in this run, never
/// from the words of a message that a script can choose.
pub fn describe(error: EvalAltResult, texts: &Texts, channel: &Channel) -> ScriptFault {
    let class = class(error.unwrap_inner(), channel);
    ScriptFault { class, message: Text::cut(message(error, texts)) }
}

/// What an error that a function of the script ended with reads as, and what was behind it.
pub(crate) fn told(error: EvalAltResult, texts: &Texts) -> (String, Option<Origin>) {
    let origin = match error.unwrap_inner() {
        EvalAltResult::ErrorRuntime(value, _) => value.read_lock::<Map>().and_then(|map| kind(&map)?.origin),
        _ => None,
    };
    (message(error, texts), origin)
}

fn class(inner: &EvalAltResult, channel: &Channel) -> FaultClass {
    match inner {
        EvalAltResult::ErrorTooManyOperations(_) => FaultClass::Limit(LimitName::Operations),
        EvalAltResult::ErrorStackOverflow(_) => FaultClass::Limit(LimitName::CallDepth),
        EvalAltResult::ErrorDataTooLarge(..) => FaultClass::Limit(LimitName::DataSize),
        EvalAltResult::ErrorTooManyVariables(_) | EvalAltResult::ErrorTooManyModules(_) => {
            FaultClass::Limit(LimitName::Definitions)
        }
        EvalAltResult::ErrorRuntime(value, _) => class_of_value(value, channel),
        _ => FaultClass::Script,
    }
}

fn class_of_value(value: &Dynamic, channel: &Channel) -> FaultClass {
    if let Some(map) = value.read_lock::<Map>() {
        return match kind(&map).and_then(|kind| kind.origin) {
            Some(Origin::Denied) => FaultClass::Denied,
            Some(Origin::AccessRefused) => FaultClass::AccessRefused,
            Some(Origin::Limit(limit)) => FaultClass::Limit(limit),
            None => FaultClass::Script,
        };
    }
    // Some commands raise only the message.
    match value.as_immutable_string_ref() {
        Ok(text) if channel.was_denied(&text) => FaultClass::Denied,
        Ok(text) if channel.was_access_refused() && **text == crate::error::errno_text(libc::EACCES) => {
            FaultClass::AccessRefused
        }
        _ => FaultClass::Script,
    }
}

/// `SOURCE: KIND: MESSAGE (line L, position P)` for an error map that was raised at top level; the
/// language's own form otherwise, with values as scripts see them.
fn message(mut error: EvalAltResult, texts: &Texts) -> String {
    if let EvalAltResult::ErrorRuntime(value, position) = &error
        && let Some(map) = value.read_lock::<Map>()
    {
        let position = if position.is_none() { String::new() } else { format!(" ({position})") };
        return format!("{}{position}", map_text(&map, texts));
    }
    if let Some(value) = raised(&mut error) {
        let own = value.read_lock::<Map>().filter(|map| kind(map).is_some()).map(|map| map_text(&map, texts));
        *value = own.unwrap_or_else(|| texts.display(value)).into();
    }
    error.to_string()
}

fn map_text(map: &Map, texts: &Texts) -> String {
    let text = |key: &str| map.get(key).filter(|value| !value.is_unit()).map(|value| texts.display(value));
    let source = text("source").unwrap_or_else(|| "Unknown".into());
    let kind = kind(map).map_or("Unknown", |kind| kind.name);
    let message = text("message").unwrap_or_else(|| "No message available".into());
    format!("{source}: {kind}: {message}")
}

fn kind(map: &Map) -> Option<Kind> {
    map.get("kind").and_then(|kind| kind.clone().try_cast::<Kind>())
}

/// The value that was thrown, in whatever calls and modules.
fn raised(error: &mut EvalAltResult) -> Option<&mut Dynamic> {
    match error {
        EvalAltResult::ErrorRuntime(value, _) if !value.is_unit() => Some(value),
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => raised(inner),
        _ => None,
    }
}
