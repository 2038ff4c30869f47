//! JSON on one line that is harmless wherever it is shown: on a terminal, in a pager, in another log.

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io;

/// `value` as JSON: one line, in which every character is escaped that is no letter, digit or ASCII sign: control characters,
/// line ends of every kind, marks that turn the direction of text, invisible ones.
pub(super) fn one_line(value: &impl Serialize) -> String {
    let mut bytes = Vec::with_capacity(256);
    // Records are made of texts, numbers and lists: nothing of them fails.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut bytes, Harmless));
    String::from_utf8(bytes).unwrap_or_default()
}

struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, character) in fragment.char_indices().filter(|(_, character)| !is_plain(*character)) {
            writer.write_all(fragment.as_bytes().get(plain..at).unwrap_or_default())?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + character.len_utf8();
        }
        writer.write_all(fragment.as_bytes().get(plain..).unwrap_or_default())
    }
}

/// Whether a character can be shown as it is.
pub fn is_plain(character: char) -> bool {
    matches!(character, ' '..='~') || (!character.is_ascii() && character.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_forge_a_line_or_a_terminal_is_escaped() {
        let hostile = "a\n{\"seq\":1}\r\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{2028}\u{200b}\u{feff}\u{1f600}é漢\\\"\0";
        let line = one_line(&hostile);
        assert!(line.chars().all(is_plain), "{line}");
        assert!(line.contains("é漢") && line.contains("\\ud83d\\ude00") && line.contains("\\u202e"), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), hostile);
    }
}
