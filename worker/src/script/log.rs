//! Log messages.

use super::Surface;
use crate::engine::line;
use rex_protocol::text::Text;
use rex_protocol::worker::{LOG_MESSAGE, Level, Log};
use rhai::NativeCallContext;

/// What stands at the end of a message that was cut.
const CUT: &str = "...[truncate]";

/// Registers `trace`, `info`, `warn` and `error`.
pub fn register(surface: &mut Surface) {
    for (name, level) in
        [("trace", Level::Trace), ("info", Level::Info), ("warn", Level::Warn), ("error", Level::Error)]
    {
        let channel = surface.channel();
        surface.function(name, move |context: NativeCallContext<'_>, text: &str| {
            if channel.logs(level) {
                let line = line(context.call_position());
                channel.log(Log { level, message: Text::cut(message(text)), line, function: None });
            }
        });
    }
}

/// A text as a message: cut between characters and marked if it is too long.
pub(crate) fn message(text: &str) -> String {
    if text.len() <= LOG_MESSAGE {
        return text.to_owned();
    }
    format!("{}{CUT}", Text::<{ LOG_MESSAGE - CUT.len() }>::cut(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters() {
        assert_eq!(message(&"x".repeat(2048)), "x".repeat(2048));
        assert_eq!(message(&"x".repeat(2049)), format!("{}{CUT}", "x".repeat(2035)));
        assert_eq!(message(&"é".repeat(1100)), format!("{}{CUT}", "é".repeat(1017)));
    }
}
