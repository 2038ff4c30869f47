//! One line of the list of allowed signers: ssh-keygen(1), section ALLOWED SIGNERS.

use super::error::{KeyFault, LineFault};
use super::key::{PublicKey, is_type_name};
use super::time::{instant, system_zone};
use super::{NAMESPACE, Signer, pattern};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

/// What a line lists.
pub(super) struct Line {
    /// As on the wire; one that [`PublicKey::parse`] takes.
    pub(super) key: Vec<u8>,
    pub(super) signer: Signer,
}

impl Line {
    /// `None` is an empty line or a comment.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, LineFault> {
        let line = line.trim_matches(is_blank);
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (principal, rest) = split_field(line);
        let principal = plain_name(principal)?;
        let (options, key_type, rest) = match split_field(rest) {
            (word, rest) if is_type_name(word) => (Options::default(), word, rest),
            ("", _) => return Err(LineFault::NoKey),
            (options, rest) => {
                let options = Options::parse(options)?;
                let (key_type, rest) = split_field(rest);
                (options, key_type, rest)
            }
        };
        // What follows the key is a comment.
        let (key, _) = split_field(rest);
        if key.is_empty() || !is_type_name(key_type) {
            return Err(LineFault::NoKey);
        }
        let key = STANDARD.decode(key).map_err(|_| KeyFault::Malformed)?;
        if PublicKey::parse(&key)?.type_name() != key_type {
            return Err(LineFault::OtherType);
        }
        let Options { namespaces, valid_after, valid_before } = options;
        let signs_scripts = namespaces.unwrap_or(true);
        Ok(Some(Self { key, signer: Signer { principal, signs_scripts, valid_after, valid_before } }))
    }
}

/// The principal, if it is one name: it is told to policy and not asked for, and so must stand for itself.
fn plain_name(principal: &str) -> Result<String, LineFault> {
    if principal.contains(['*', '?', '!', ',']) {
        return Err(LineFault::Pattern);
    }
    if principal.contains(['"', '\'', '\\']) || !principal.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(LineFault::Name);
    }
    Ok(principal.to_owned())
}

/// The options of a line.
#[derive(Default)]
struct Options {
    /// Whether they are those of scripts.
    namespaces: Option<bool>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

impl Options {
    fn parse(text: &str) -> Result<Self, LineFault> {
        let mut options = Self::default();
        for option in text.split(outside_quotes(|character| character == ',')) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name.to_ascii_lowercase().as_str() {
                "namespaces" => set(&mut options.namespaces, pattern::list_matches(dequote(value)?, NAMESPACE))?,
                "valid-after" => set(&mut options.valid_after, instant(dequote(value)?, system_zone)?)?,
                "valid-before" => set(&mut options.valid_before, instant(dequote(value)?, system_zone)?)?,
                "cert-authority" => return Err(LineFault::CertAuthority),
                _ => return Err(LineFault::UnknownOption),
            }
        }
        match (options.valid_after, options.valid_before) {
            (Some(after), Some(before)) if before <= after => Err(LineFault::NeverValid),
            _ => Ok(options),
        }
    }
}

fn set<T>(option: &mut Option<T>, value: T) -> Result<(), LineFault> {
    match option.replace(value) {
        Some(_) => Err(LineFault::OptionTwice),
        None => Ok(()),
    }
}

/// The value within its quotes. OpenSSH demands them, and lets a backslash escape one; no value here needs that.
fn dequote(value: &str) -> Result<&str, LineFault> {
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).ok_or(LineFault::Quotes)?;
    if value.contains(['"', '\\']) { Err(LineFault::Quotes) } else { Ok(value) }
}

/// The field up to the first blank outside of quotes, and what follows the blanks.
fn split_field(text: &str) -> (&str, &str) {
    let (field, rest) = text.split_once(outside_quotes(is_blank)).unwrap_or((text, ""));
    (field, rest.trim_start_matches(is_blank))
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r')
}

/// Finds these characters in a text that is searched from its start, but not between double quotes.
fn outside_quotes(wanted: impl Fn(char) -> bool) -> impl FnMut(char) -> bool {
    let mut quoted = false;
    move |character| {
        quoted ^= character == '"';
        !quoted && wanted(character)
    }
}
