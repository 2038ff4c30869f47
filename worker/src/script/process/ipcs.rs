//! The tables of System V inter-process communication.

use super::manager::ProcessManager;
use crate::error::{self, Process, Result};
use crate::script::dir::{Directory, How};
use crate::script::{Surface, item};
use crate::text::path;
use rhai::{EvalAltResult, ImmutableString, Map};
use std::fmt;

/// What the kernel tells of shared memory, message queues and semaphores (proc_sysvipc(5)), as it tells it.
#[derive(Debug, Clone)]
struct IpcsInfo {
    shared_memory: ImmutableString,
    queues: ImmutableString,
    semaphores: ImmutableString,
}

impl IpcsInfo {
    fn read(manager: &ProcessManager) -> Result<Self> {
        let open = |name: &str| {
            let dir = Directory::open(manager.channel(), path::absolute("/proc/sysvipc")?, false)?;
            dir.file(&path::name_in(dir.path(), name)?, How::READ)
        };
        let (shm, sem, msg) = (open("shm")?, open("sem")?, open("msg")?);
        let (shared_memory, semaphores, queues) = (shm.text()?.into(), sem.text()?.into(), msg.text()?.into());
        Ok(Self { shared_memory, queues, semaphores })
    }

    fn to_map(&self) -> Map {
        Map::from_iter([
            item("shared_memory", self.shared_memory.clone()),
            item("queues", self.queues.clone()),
            item("semaphores", self.semaphores.clone()),
        ])
    }
}

impl fmt::Display for IpcsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shared_memory, queues, semaphores } = self;
        write!(
            f,
            "Shared Memory Segments:\n{shared_memory}\n\nMessage Queues:\n{queues}\n\nSemaphore Arrays:\n{semaphores}"
        )
    }
}

/// Registers the tables.
pub(super) fn register(surface: &mut Surface) {
    surface.shown::<IpcsInfo>("IpcsInfo");
    surface.property("shared_memory", |info: &mut IpcsInfo| info.shared_memory.clone());
    surface.property("queues", |info: &mut IpcsInfo| info.queues.clone());
    surface.property("semaphores", |info: &mut IpcsInfo| info.semaphores.clone());
    surface.function("to_map", |info: &mut IpcsInfo| info.to_map());
    surface.function("ipcs_info", |manager: &mut ProcessManager| {
        IpcsInfo::read(manager).map_err(|error: Box<EvalAltResult>| error::as_kind(error, Process::Other))
    });
}
