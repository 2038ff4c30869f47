//! Questions that were asked before: from the audit log.

use super::Fault;
use super::load;
use super::options::Options;
use rex_broker::audit::{Reader, Record};
use rex_broker::authz::{Question, RunAs, Told, Word};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The directory of the log.
pub(crate) fn directory(options: &Options, given: Option<&Path>) -> Result<PathBuf, Fault> {
    match given {
        Some(directory) => Ok(directory.to_owned()),
        None => Ok(load::config(options)?.audit.directory),
    }
}

/// The question of the decision that has this number, with its record.
pub(crate) fn question(directory: &Path, number: u64) -> Result<(Question, Record), Fault> {
    let mut runs = Runs::default();
    for record in records(directory)? {
        let record = record?;
        if record.seq() == number {
            let question = runs.question(&record);
            let question = question.ok_or_else(|| Fault::Usage(format!("record {number} is no decision")))?;
            return Ok((question, record));
        }
        runs.note(&record);
    }
    Err(Fault::Usage(format!("there is no record {number} in `{}`", directory.display())))
}

/// All records of a log.
pub(crate) fn records(directory: &Path) -> Result<impl Iterator<Item = Result<Record, Fault>>, Fault> {
    let named = directory.display().to_string();
    let cannot = move |error: std::io::Error| Fault::Cannot(format!("cannot read the audit log in `{named}`: {error}"));
    let reader = Reader::open(directory).map_err(&cannot)?;
    Ok(reader.map(move |record| record.map_err(&cannot)))
}

/// What is known of the runs of a log, while it is read.
#[derive(Default)]
pub(crate) struct Runs {
    starts: HashMap<String, Record>,
}

impl Runs {
    /// Takes in what a record tells of its run.
    pub(crate) fn note(&mut self, record: &Record) {
        match record.kind() {
            "run-start" => drop(self.starts.insert(record.run().to_owned(), record.clone())),
            "run-end" => drop(self.starts.remove(record.run())),
            _ => {}
        }
    }

    /// The question of a decision; nothing if the record is of something else.
    pub(crate) fn question(&self, record: &Record) -> Option<Question> {
        (record.kind() == "decision").then_some(())?;
        let start = self.starts.get(record.run());
        let of_start = |field: &str| start.map(|start| start.text(field)).unwrap_or_default().to_owned();
        let fields = |field: &str| record.fields().get(field).and_then(Value::as_object).cloned().unwrap_or_default();
        let spent = fields("spent");
        let number = |name: &str| spent.get(name).and_then(Value::as_u64).unwrap_or_default();
        let context = fields("context");
        Some(Question {
            user: record.text("user").to_owned(),
            uid: start.and_then(|start| u32::try_from(start.number("uid")).ok()).unwrap_or_default(),
            groups: start.map(|start| start.texts("groups")).unwrap_or_default().into_iter().map(Into::into).collect(),
            action: record.text("action").to_owned(),
            resource: record.text("resource").to_owned(),
            attributes: Some(fields("attributes")),
            session: Told {
                via: of_start("via"),
                tty: of_start("tty"),
                parent: of_start("parent"),
                script: of_start("script"),
                signed_by: of_start("signed_by"),
                ssh_key: of_start("ssh_key"),
                reason: of_start("reason"),
                dry_run: start.and_then(|start| start.fields().get("dry_run")?.as_bool()).unwrap_or_default(),
                started: start.and_then(Record::at),
                now: record.at(),
                operations: number("operations"),
                bytes_read: number("bytes_read"),
                bytes_written: number("bytes_written"),
                deleted: number("deleted"),
                hosts: number("hosts"),
            },
            arguments: words(&context),
            environment: context
                .get("environment")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            run_as: run_as(&context),
            context,
        })
    }
}

fn words(context: &Map<String, Value>) -> Vec<Word> {
    let words = context.get("arguments").and_then(Value::as_array).into_iter().flatten();
    words.filter_map(|word| serde_json::from_value(word.clone()).ok()).collect()
}

fn run_as(context: &Map<String, Value>) -> RunAs {
    let identity = |field: &str| {
        let pair = context.get(field).and_then(Value::as_array);
        let name = pair.and_then(|pair| pair.first()?.as_str()).unwrap_or_default().to_owned();
        let number = pair.and_then(|pair| u32::try_from(pair.get(1)?.as_u64()?).ok()).unwrap_or_default();
        (name, number)
    };
    let ((user, uid), (group, gid)) = (identity("user"), identity("group"));
    let capabilities = context.get("capabilities").and_then(Value::as_array).into_iter().flatten();
    let capabilities = capabilities.filter_map(Value::as_str).map(Into::into).collect();
    let namespace = context.get("namespace").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
    RunAs { user, uid, group, gid, capabilities, namespace }
}
