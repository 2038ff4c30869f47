//! Whether what came of a case is what it expects.

use crate::case::{Case, ExpectedFile, Kind, compile};
use crate::place::octal;
use crate::stage::Stage;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What is not as expected, in words.
pub(crate) fn faults(case: &Case, stage: &Stage, result: &Value) -> Vec<String> {
    let expect = &case.expect;
    let output = stage.unfill(text(&result["output"]));
    let message = stage.unfill(text(&result["error"]["message"]));
    let status = text(&result["status"]);
    if status != expect.status {
        return vec![format!("status {status} for {}: {}", expect.status, short(&message))];
    }
    let mut faults = Vec::new();
    if let Some(wanted) = expect.output.as_deref().filter(|wanted| stage.expected(wanted) != output) {
        faults.push(format!("output {} for {}", short(&output), short(wanted)));
    }
    if let Some(pattern) = &expect.output_matches {
        match matches(&stage.expected(pattern), &output) {
            Ok(true) => {}
            Ok(false) => faults.push(format!("output {} does not match {pattern:?}", short(&output))),
            Err(error) => faults.push(error.to_string()),
        }
    }
    if let Some(wanted) = &expect.output_json {
        let (found, wanted) = (serde_json::from_str(&output).ok(), serde_json::from_str(wanted).unwrap_or_default());
        if !found.is_some_and(|found| is_equal(&found, &wanted)) {
            faults.push(format!("output {} for {}", short(&output), short(&wanted.to_string())));
        }
    }
    let kind = text(&result["error"]["error_type"]);
    if let Some(wanted) = expect.error_type.as_deref().filter(|wanted| *wanted != kind) {
        faults.push(format!("error type {kind} for {wanted}: {}", short(&message)));
    }
    let lacking = expect.error_contains.iter().filter(|part| !message.contains(&stage.expected(part)));
    faults.extend(lacking.map(|part| format!("error {} lacks {part:?}", short(&message))));
    let logs = logs(stage, result);
    if let Some(wanted) = expect.logs.as_ref().filter(|wanted| **wanted != logs) {
        faults.push(format!("logs {} for {}", short(&format!("{logs:?}")), short(&format!("{wanted:?}"))));
    }
    let (metrics, alarms) = (names(&result["metrics"], "metric_name"), names(&result["alarms"], "alarm_type"));
    let lacking = expect.metrics.iter().filter(|name| !metrics.contains(name.as_str()));
    faults.extend(lacking.map(|name| format!("no metric `{name}` among {metrics:?}")));
    let lacking = expect.alarms.iter().filter(|name| !alarms.contains(name.as_str()));
    faults.extend(lacking.map(|name| format!("no alarm `{name}` among {alarms:?}")));
    faults.extend(expect.files.iter().flat_map(|wanted| file_faults(stage, wanted)));
    faults
}

/// The log messages of a result, as cases write them.
fn logs(stage: &Stage, result: &Value) -> Vec<String> {
    let entries = result["logs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |entry: &Value| {
        let attributes = &entry["attributes"];
        stage.unfill(&format!("{} {}", text(&attributes["level"]), text(&attributes["message"])))
    };
    entries.iter().map(line).collect()
}

/// The text of a value, or an empty one.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// As much of a text as is of use in a report.
pub(crate) fn short(text: &str) -> String {
    let start: String = text.chars().take(300).collect();
    let more = if start.len() < text.len() { "..." } else { "" };
    format!("{start:?}{more}")
}

fn names<'a>(list: &'a Value, field: &str) -> BTreeSet<&'a str> {
    list.as_array().into_iter().flatten().map(|item| text(&item[field])).collect()
}

/// `$` also matches before a line end that is the last character.
fn matches(pattern: &str, output: &str) -> Result<bool, regex::Error> {
    let pattern = compile(pattern)?;
    Ok(pattern.is_match(output) || output.strip_suffix('\n').is_some_and(|output| pattern.is_match(output)))
}

/// Equal as JSON: `1` is `1.0`, and the order of keys is nothing.
fn is_equal(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) => found == wanted || found.as_f64() == wanted.as_f64(),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| is_equal(found, wanted))
        }
        (Value::Object(found), Value::Object(wanted)) => {
            let is_there = |(key, wanted)| found.get(key).is_some_and(|found| is_equal(found, wanted));
            found.len() == wanted.len() && wanted.iter().all(is_there)
        }
        (found, wanted) => found == wanted,
    }
}

fn file_faults(stage: &Stage, wanted: &ExpectedFile) -> Vec<String> {
    let (name, path) = (&wanted.path, stage.root.join(&wanted.path));
    let Ok(metadata) = fs::symlink_metadata(&path) else {
        return if wanted.absent { Vec::new() } else { vec![format!("`{name}` is not there")] };
    };
    if wanted.absent {
        return vec![format!("`{name}` is there")];
    }
    let mut faults = Vec::new();
    if let Some(content) = &wanted.content {
        match fs::read(&path) {
            Ok(found) if found == stage.fill(content).as_bytes() => {}
            Ok(found) => {
                let found = String::from_utf8_lossy(&found).into_owned();
                faults.push(format!("`{name}` holds {} for {}", short(&found), short(content)));
            }
            Err(error) => faults.push(format!("`{name}` cannot be read: {error}")),
        }
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if let Some(wanted) = wanted.mode.as_ref().filter(|wanted| octal(wanted).ok() != Some(mode)) {
        faults.push(format!("`{name}` has mode {mode:o} for {wanted}"));
    }
    match wanted.kind {
        Some(Kind::Symlink) if !metadata.is_symlink() => faults.push(format!("`{name}` is no symbolic link")),
        Some(Kind::Dir) if !path.is_dir() => faults.push(format!("`{name}` is no directory")),
        _ => {}
    }
    if let Some(target) = &wanted.target {
        let found = fs::read_link(&path).map(|found| found.to_string_lossy().into_owned()).unwrap_or_default();
        if found != stage.fill(target) {
            faults.push(format!("`{name}` points to {found:?}"));
        }
    }
    faults
}
