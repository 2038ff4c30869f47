//! Small functions of the language that need no permission: `sleep`, random texts, replacing.

use super::Surface;
use super::options::{self, Options};
use crate::error::Result;
use crate::text::pattern;
use rand::RngExt;
use rand::distr::Alphanumeric;
use serde::Deserialize;
use std::time::Duration;

/// Length of a random text where a negative one is asked for.
const RANDOM_LENGTH: usize = 16;

/// How to replace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReplacementOptions {
    pub(super) is_regex: bool,
    pub(super) replace_all: bool,
}

impl Options for ReplacementOptions {
    const NAME: &'static str = "ReplacementOptions";
}

/// Registers the functions.
pub fn register(surface: &mut Surface) {
    surface.function("sleep", |seconds: i64| sleep(u64::try_from(seconds).ok().map(Duration::from_secs)));
    surface.function("sleep", |seconds: f64| sleep(duration(seconds)));
    surface.function("random_alphanumeric", random);
    options::register::<ReplacementOptions>(surface);
    surface.function("replace_text", |text: &str, old: &str, new: &str, options: ReplacementOptions| {
        replace(text, old, new, &options)
    });
}

/// The text with `old` replaced by `new`, once or everywhere.
pub(super) fn replace(text: &str, old: &str, new: &str, options: &ReplacementOptions) -> Result<String> {
    Ok(match (options.is_regex, options.replace_all) {
        (false, true) => text.replace(old, new),
        (false, false) => text.replacen(old, new, 1),
        (true, all) => {
            let limit = if all { 0 } else { 1 };
            pattern::regex(old, old)?.replacen(text, limit, new).into_owned()
        }
    })
}

fn random(length: i64) -> String {
    let length = usize::try_from(length).unwrap_or(RANDOM_LENGTH);
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

fn sleep(time: Option<Duration>) {
    if let Some(time) = time.filter(|time| !time.is_zero()) {
        std::thread::sleep(time);
    }
}

/// Nothing for what is no time to wait; too long is as good as for ever, a run ends before.
fn duration(seconds: f64) -> Option<Duration> {
    if seconds > 0.0 {
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(u64::from(u32::MAX))))
    } else {
        None
    }
}
