//! `doctor`: which walls this host has, and what that means.

use crate::options::{Format, Shown};
use rex_broker::config::Config;
use rex_broker::doctor::{Finding, State, look};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

/// Rex runs, with less between a script and the system.
const WEAKER: u8 = 3;

/// Looks, and prints what was found. A configuration that cannot be used is a finding too.
pub(crate) fn tell(config: Result<Config, String>, shown: &Shown) -> ExitCode {
    rex_broker::start_log(LevelFilter::OFF);
    let (config, fault) = match config {
        Ok(config) => (config, None),
        Err(fault) => (Config::default(), Some(fault)),
    };
    let fault = fault.map(|says| Finding { what: "configuration", state: State::Missing, says });
    let found: Vec<Finding> = fault.into_iter().chain(look(&config)).collect();
    let worst = found.iter().map(|finding| finding.state).max().unwrap_or(State::Good);
    let text = match shown.output_format {
        Format::Human => human(&found, worst),
        Format::Json => format!("{}\n", as_json(&found, worst)),
    };
    // Who does not read it to its end has the exit code.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    match worst {
        State::Good => ExitCode::SUCCESS,
        State::Weaker => ExitCode::from(WEAKER),
        State::Missing => ExitCode::FAILURE,
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Good => "good",
        State::Weaker => "weaker",
        State::Missing => "missing",
    }
}

fn human(found: &[Finding], worst: State) -> String {
    let rows = found.iter().map(|Finding { what, state, says }| format!("{:<9}{what:<15}{says}\n", word(*state)));
    let end = match worst {
        State::Good => "Rex runs here as it should.",
        State::Weaker => "Rex runs here, with less between a script and the system.",
        State::Missing => "Rex refuses to run here.",
    };
    rows.chain([format!("\n{end}\n")]).collect()
}

fn as_json(found: &[Finding], worst: State) -> Value {
    let row = |finding: &Finding| json!({ "what": finding.what, "state": word(finding.state), "says": finding.says });
    json!({ "state": word(worst), "findings": found.iter().map(row).collect::<Vec<_>>() })
}
