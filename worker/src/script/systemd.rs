//! `SystemctlManager`: the service manager's units.

use super::record::{self, Property};
use super::service::State;
use super::{Surface, item, number};
use crate::channel::{Channel, Held};
use crate::error::{Error, Process, Result, errno_text};
use rex_protocol::failure::FailureKind;
use rex_protocol::handle::{Handle, Task};
use rex_protocol::systemd::{
    FollowTask, InspectUnit, ReloadManager, RestartUnit, StartUnit, StopUnit, TaskEnd, UNIT_NAME, UnitStatus,
};
use rex_protocol::text::Text;
use rex_protocol::{Failure, Listed};
use rhai::{Array, Dynamic, Map};
use serde::Serialize;
use std::fmt;
use std::rc::Rc;

/// The way to the service manager.
#[derive(Debug, Clone)]
struct SystemctlManager(Rc<Channel>);

/// What a unit is like, and what it was asked for by.
#[derive(Debug, Clone)]
struct ServiceInfo {
    name: Rc<str>,
    status: Rc<UnitStatus>,
}

const PROPERTIES: &[Property<ServiceInfo>] = &[
    ("name", |info| info.name.to_string().into()),
    ("description", |info| info.status.description.to_string().into()),
    ("load_state", |info| info.status.load_state.to_string().into()),
    ("load_path", |info| info.status.load_path.to_string().into()),
    ("unit_file_state", |info| info.status.file_state.to_string().into()),
    ("unit_file_preset", |info| info.status.file_preset.to_string().into()),
    ("sub_state", |info| info.status.sub_state.to_string().into()),
    ("need_daemon_reload", |info| info.status.need_reload.into()),
    ("main_pid", |info| info.status.main_pid.map_or(Dynamic::UNIT, |pid| i64::from(pid).into())),
];

impl SystemctlManager {
    /// Has something done about a unit, or about all of them without a name.
    fn run<O: Listed<Reply = Handle<Task>>>(&self, operation: &O, name: &str) -> Result<TaskEnd> {
        let end = self.0.call(operation).and_then(|task| follow(&self.0, task));
        Ok(end.map_err(|failure| refused(&failure, name))?)
    }

    fn status(&self, name: &str) -> Result<ServiceInfo> {
        match self.run(&InspectUnit { name: unit(name)? }, name)? {
            TaskEnd::Unit(status) => Ok(ServiceInfo { name: Rc::from(name), status: Rc::new(*status) }),
            TaskEnd::Done => Err(Error::new(Process::Other, format!("nothing was told of `{name}`")).into()),
        }
    }
}

/// Waits for the end of a task.
fn follow(channel: &Rc<Channel>, task: Handle<Task>) -> std::result::Result<TaskEnd, Failure> {
    let task = Held::new(channel, task);
    loop {
        if let Some(end) = channel.call(&FollowTask { task: task.handle() })? {
            return Ok(end);
        }
    }
}

/// A name as it goes over the line; no unit's is longer.
fn unit(name: &str) -> Result<Text<UNIT_NAME>> {
    let too_long = |_| Error::new(Process::ServiceNotFound, format!("Unit: {name}"));
    Ok(Text::try_from(name.to_owned()).map_err(too_long)?)
}

fn refused(failure: &Failure, name: &str) -> Error {
    let message = &*failure.message;
    let (kind, text) = match &failure.kind {
        FailureKind::Denied(_) => (Process::PermissionDenied, message.to_owned()),
        FailureKind::NoBus => (Process::DBusError, format!("Failed to connect to system bus: {message}")),
        FailureKind::Bus { error } => (Process::DBusError, format!("D-Bus operation failed: {error}: {message}")),
        FailureKind::Job => (Process::DBusError, message.to_owned()),
        FailureKind::NoUnit => (Process::ServiceNotFound, format!("Unit: {name}")),
        FailureKind::Refused { errno } => (Process::Other, errno_text(*errno)),
        _ => (Process::Other, message.to_owned()),
    };
    Error::because(failure, kind, text)
}

impl ServiceInfo {
    fn state(&self) -> State {
        State::named(&self.status.active_state)
    }

    fn count(&self, count: Option<u64>) -> Dynamic {
        count.map_or(Dynamic::UNIT, |count| number(count).into())
    }

    fn to_map(&self) -> Map {
        let told = |count: Option<u64>| count.map_or(Dynamic::UNIT, |count| count.to_string().into());
        let documentation: Array = self.status.documentation.iter().map(|text| text.to_string().into()).collect();
        let mut map = record::to_map(self, PROPERTIES);
        map.extend([
            item("active_state", self.state().to_string()),
            item("tasks", told(self.status.tasks)),
            item("memory", told(self.status.memory)),
            item("documentation", documentation),
        ]);
        map
    }
}

/// The text form: JSON, in this order.
#[derive(Serialize)]
struct Told<'a> {
    name: &'a str,
    description: &'a str,
    load_state: &'a str,
    load_path: &'a str,
    unit_file_state: &'a str,
    unit_file_preset: &'a str,
    active_state: String,
    sub_state: &'a str,
    main_pid: Option<u32>,
    tasks: Option<String>,
    memory: Option<String>,
    documentation: Vec<&'a str>,
    need_daemon_reload: bool,
}

impl fmt::Display for ServiceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = &self.status;
        let told = Told {
            name: &self.name,
            description: &status.description,
            load_state: &status.load_state,
            load_path: &status.load_path,
            unit_file_state: &status.file_state,
            unit_file_preset: &status.file_preset,
            active_state: self.state().to_string(),
            sub_state: &status.sub_state,
            main_pid: status.main_pid,
            tasks: status.tasks.map(|count| count.to_string()),
            memory: status.memory.map(|count| count.to_string()),
            documentation: status.documentation.iter().map(|text| &**text).collect(),
            need_daemon_reload: status.need_reload,
        };
        f.write_str(&serde_json::to_string_pretty(&told).map_err(|_| fmt::Error)?)
    }
}

/// Registers the object and what it gives.
pub(super) fn register(surface: &mut Surface) {
    surface.named::<SystemctlManager>("SystemctlManager");
    surface.shown::<ServiceInfo>("ServiceInfo");
    record::add(surface, PROPERTIES);
    surface.property("active_state", |info: &mut ServiceInfo| info.state());
    surface.property("tasks", |info: &mut ServiceInfo| info.count(info.status.tasks));
    surface.property("memory", |info: &mut ServiceInfo| info.count(info.status.memory));
    surface.function("to_map", |info: &mut ServiceInfo| info.to_map());
    let channel = surface.channel();
    surface.function("SystemctlManager", move || SystemctlManager(Rc::clone(&channel)));
    surface.function("start", |manager: &mut SystemctlManager, name: &str| -> Result<()> {
        manager.run(&StartUnit { name: unit(name)? }, name).map(drop)
    });
    surface.function("stop", |manager: &mut SystemctlManager, name: &str| -> Result<()> {
        manager.run(&StopUnit { name: unit(name)? }, name).map(drop)
    });
    surface.function("restart", |manager: &mut SystemctlManager, name: &str| -> Result<()> {
        manager.run(&RestartUnit { name: unit(name)?, only_running: false }, name).map(drop)
    });
    surface.function("try_restart", |manager: &mut SystemctlManager, name: &str| -> Result<()> {
        manager.run(&RestartUnit { name: unit(name)?, only_running: true }, name).map(drop)
    });
    surface.function("daemon_reload", |manager: &mut SystemctlManager| -> Result<()> {
        manager.run(&ReloadManager {}, "").map(drop)
    });
    surface.function("status", |manager: &mut SystemctlManager, name: &str| manager.status(name));
}
