//! What is said to the service manager, org.freedesktop.systemd1(5). Runs in a process made for one task.

use super::log;
use crate::bus::{Connection, Fault, Message, OwnedObjectPath, OwnedValue};
use rex_protocol::failure::{Failure, FailureKind};
use rex_protocol::systemd::UnitStatus;
use rex_protocol::text::Text;
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DESTINATION: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Errors that mean that there is no such unit, and that nothing can be called so.
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";
const INVALID_ARGUMENTS: &str = "org.freedesktop.DBus.Error.InvalidArgs";
/// A new job replaces what is queued against it, as `systemctl` has it.
const MODE: &str = "replace";
/// How long the manager may take to read all its units anew; generators run meanwhile.
const RELOAD: Duration = Duration::from_secs(90);

/// The service manager, over the bus.
pub(super) struct Manager {
    bus: Connection,
}

/// A unit that the manager has loaded, or found out that there is none.
pub(super) struct Unit {
    path: String,
    /// Its own name, whatever alias it was asked for by.
    pub(super) id: String,
    /// The manager's own name on the bus.
    manager: String,
}

impl Manager {
    pub(super) fn new(bus: Connection) -> Self {
        Self { bus }
    }

    /// The unit of a name, with its own name.
    pub(super) fn load(&mut self, name: &str) -> Result<Unit, Fault> {
        // To the manager no name at all means the unit of whoever asks, which is ours.
        if name.is_empty() {
            return Err(Fault::Error { name: INVALID_ARGUMENTS.into(), text: "Unit name  is not valid.".into() });
        }
        let reply = self.call("LoadUnit", &name)?;
        let path = reply.body::<OwnedObjectPath>()?.to_string();
        let id = self.bus.call(DESTINATION, &path, (PROPERTIES, "Get"), &(UNIT, "Id"))?.body::<OwnedValue>()?;
        let id = String::try_from(id).map_err(|_| unexpected("a unit without a name"))?;
        Ok(Unit { path, id, manager: reply.sender().to_owned() })
    }

    /// Has a job done on a unit, and waits for its end.
    pub(super) fn run_job(&mut self, method: &str, unit: &Unit) -> Result<(), Failure> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let fault = |fault| failure(fault, Some(&unit.id));
        // The units may have been read anew since policy was asked.
        if self.load(&unit.id).map_err(fault)?.id != unit.id {
            let message = format!("`{}` has come to be another name of a unit; nothing was done", unit.id);
            return Err(Failure::new(FailureKind::Job, message));
        }
        // Before there is a job, so that its end is not missed.
        let rule =
            format!("type='signal',sender='{DESTINATION}',path='{PATH}',interface='{MANAGER}',member='JobRemoved'");
        self.bus.keep("JobRemoved");
        self.bus.call_bus("AddMatch", &rule).map_err(fault)?;
        self.call("Subscribe", &()).map_err(fault)?;
        let job = self.call(method, &(&*unit.id, MODE)).and_then(|reply| reply.body::<OwnedObjectPath>());
        let job = job.map_err(fault)?;
        let result = self.await_job(&job, unit).map_err(fault)?;
        match &*result {
            // The last: there was nothing to do for it.
            "done" | "skipped" => Ok(()),
            result => Err(self.job_failed(result, unit, since)),
        }
    }

    fn await_job(&mut self, job: &OwnedObjectPath, unit: &Unit) -> Result<String, Fault> {
        loop {
            let signal = self.bus.next_signal()?;
            // Anybody may send us signals that look like it.
            if signal.sender() != unit.manager {
                continue;
            }
            let (_, ended, _, result) = signal.body::<(u32, OwnedObjectPath, String, String)>()?;
            if ended == *job {
                return Ok(result);
            }
        }
    }

    /// Why a job failed, in the unit's own words where it has some.
    fn job_failed(&mut self, result: &str, unit: &Unit, since: u64) -> Failure {
        let mut message = format!("the job of `{}` ended with the result `{result}`", unit.id);
        if let Ok(service) = self.properties(unit, SERVICE) {
            let how = text(&service, "Result");
            let status = number(&service, "ExecMainStatus");
            if !how.is_empty() && how != "success" {
                message.push_str(&format!("; the service's is `{how}`, with the status {status}"));
            }
        }
        let lines = log::last_lines(&unit.id, since);
        if !lines.is_empty() {
            message.push_str("; its last words:");
            lines.iter().for_each(|line| message.push_str(&format!("\n  {line}")));
        }
        Failure::new(FailureKind::Job, message)
    }

    /// Has all units' files read anew.
    pub(super) fn reload(&mut self) -> Result<(), Fault> {
        self.bus.be_patient(RELOAD);
        self.call("Reload", &()).map(drop)
    }

    /// What a unit is like.
    pub(super) fn status(&mut self, unit: &Unit) -> Result<UnitStatus, Fault> {
        let known = self.properties(unit, UNIT)?;
        let mut status = UnitStatus {
            description: Text::cut(text(&known, "Description")),
            load_state: Text::cut(text(&known, "LoadState")),
            load_path: Text::cut(text(&known, "FragmentPath")),
            file_state: Text::cut(text(&known, "UnitFileState")),
            file_preset: Text::cut(text(&known, "UnitFilePreset")),
            active_state: Text::cut(text(&known, "ActiveState")),
            sub_state: Text::cut(text(&known, "SubState")),
            need_reload: known.get("NeedDaemonReload").is_some_and(|value| bool::try_from(value).unwrap_or(false)),
            documentation: texts(&known, "Documentation").into_iter().take(32).map(Text::cut).collect(),
            ..UnitStatus::default()
        };
        if &*status.active_state == "active" && unit.id.ends_with(".service") {
            let service = self.properties(unit, SERVICE)?;
            status.main_pid = u32::try_from(number(&service, "MainPID")).ok();
            status.tasks = Some(number(&service, "TasksCurrent"));
            status.memory = Some(number(&service, "MemoryCurrent"));
        }
        Ok(status)
    }

    fn properties(&mut self, unit: &Unit, interface: &str) -> Result<Properties, Fault> {
        self.bus.call(DESTINATION, &unit.path, (PROPERTIES, "GetAll"), &interface)?.body()
    }

    fn call<B: serde::Serialize + crate::bus::DynamicType>(
        &mut self,
        method: &str,
        arguments: &B,
    ) -> Result<Message, Fault> {
        self.bus.call(DESTINATION, PATH, (MANAGER, method), arguments)
    }
}

type Properties = HashMap<String, OwnedValue>;

fn text(properties: &Properties, name: &str) -> String {
    let value = properties.get(name).and_then(|value| value.downcast_ref::<&str>().ok());
    value.unwrap_or_default().to_owned()
}

fn texts(properties: &Properties, name: &str) -> Vec<String> {
    let value = properties.get(name).and_then(|value| value.try_clone().ok());
    value.and_then(|value| Vec::<String>::try_from(value).ok()).unwrap_or_default()
}

/// A number of whatever width; 0 where there is none.
fn number(properties: &Properties, name: &str) -> u64 {
    let Some(value) = properties.get(name) else { return 0 };
    let small = value.downcast_ref::<u32>().map(u64::from);
    let signed = || value.downcast_ref::<i32>().map(|number| u64::try_from(number).unwrap_or(0));
    small.or_else(|_| value.downcast_ref::<u64>()).or_else(|_| signed()).unwrap_or(0)
}

fn unexpected(what: &str) -> Fault {
    Fault::Error { name: "org.freedesktop.DBus.Error.InconsistentMessage".into(), text: what.into() }
}

/// What is told of a fault. `of` is the unit that was to be worked on, where one was.
pub(super) fn failure(fault: Fault, of: Option<&str>) -> Failure {
    match fault {
        Fault::NoBus(why) => Failure::new(FailureKind::NoBus, why),
        Fault::Error { name, .. } if name == NO_SUCH_UNIT && of.is_some() => {
            Failure::new(FailureKind::NoUnit, of.unwrap_or_default())
        }
        Fault::Error { name, text } => Failure::new(FailureKind::Bus { error: Text::cut(name) }, text),
    }
}

/// The same where a unit is asked about: what can be no unit's name names none.
pub(super) fn failure_of_question(fault: Fault, name: &str) -> Failure {
    match fault {
        Fault::Error { name: error, .. } if error == INVALID_ARGUMENTS => Failure::new(FailureKind::NoUnit, name),
        fault => failure(fault, Some(name)),
    }
}
