//! The manager of processes: what it has listed it can be asked about again.

use super::info::ProcessInfo;
use super::refused;
use crate::channel::Channel;
use crate::error::Result;
use crate::script::Surface;
use crate::script::options::{self, Options};
use rex_protocol::process::{Identity, ListProcesses, Namespace};
use rhai::{Array, Dynamic};
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// Knows the processes that it has been shown. Copies share what they know.
#[derive(Debug, Clone)]
pub(in crate::script) struct ProcessManager {
    channel: Rc<Channel>,
    known: Rc<RefCell<BTreeMap<u32, Identity>>>,
    /// The pid namespaces of processes, and their numbers there, of those that were shown with them.
    namespaces: Rc<RefCell<BTreeMap<u32, Namespace>>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ProcessOptions {
    load_namespace_info: bool,
    include_threads: bool,
}

impl Options for ProcessOptions {
    const NAME: &'static str = "ProcessOptions";
}

impl ProcessManager {
    /// One that knows nothing.
    pub(in crate::script) fn new(channel: &Rc<Channel>) -> Self {
        Self { channel: Rc::clone(channel), known: Rc::default(), namespaces: Rc::default() }
    }

    /// The processes that policy lets be listed.
    pub(in crate::script) fn processes(&self) -> Result<Array> {
        self.list(&ProcessOptions::default())
    }

    fn list(&self, options: &ProcessOptions) -> Result<Array> {
        let (threads, namespaces) = (options.include_threads, options.load_namespace_info);
        let found = self.sample(ListProcesses { threads, namespaces, ..ListProcesses::default() })?;
        Ok(found.into_iter().map(Dynamic::from).collect())
    }

    /// All pages of a listing.
    pub(super) fn sample(&self, mut request: ListProcesses) -> Result<Vec<ProcessInfo>> {
        let mut found = Vec::new();
        loop {
            let page = self.channel.call(&request).map_err(|failure| refused(&failure))?;
            if let Some(machine) = page.machine {
                found.extend(page.processes.into_iter().filter_map(|process| ProcessInfo::new(process, machine)));
            }
            request.after = page.more;
            if request.after.is_none() {
                break;
            }
        }
        for info in found.iter().filter(|info| info.thread_of().is_none()) {
            self.remember(info.identity());
            if let Some(namespace) = info.own_namespace() {
                self.namespaces.borrow_mut().insert(info.identity().pid, namespace);
            }
        }
        Ok(found)
    }

    /// Keeps a process in mind.
    pub(super) fn remember(&self, identity: &Identity) {
        self.known.borrow_mut().insert(identity.pid, identity.clone());
    }

    /// The pid namespace of a process that was shown with it.
    pub(super) fn namespace_of(&self, pid: u32) -> Option<Namespace> {
        self.namespaces.borrow().get(&pid).copied()
    }

    /// The process that had this number in a pid namespace.
    pub(super) fn numbered(&self, pid: u32, namespace: u64) -> Option<u32> {
        let namespaces = self.namespaces.borrow();
        namespaces.iter().find(|(_, own)| own.id == namespace && own.pid == pid).map(|(outer, _)| *outer)
    }

    /// The process that had this number when it was shown.
    pub(super) fn known(&self, pid: u32) -> Option<Identity> {
        self.known.borrow().get(&pid).cloned()
    }

    /// All processes that were shown.
    pub(super) fn all_known(&self) -> Vec<Identity> {
        self.known.borrow().values().cloned().collect()
    }

    /// The way to the session.
    pub(super) fn channel(&self) -> &Rc<Channel> {
        &self.channel
    }
}

impl fmt::Display for ProcessManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessManager")
    }
}

/// Registers the manager and its listing.
pub(super) fn register(surface: &mut Surface) {
    options::register::<ProcessOptions>(surface);
    surface.shown::<ProcessManager>("ProcessManager");
    let channel = surface.channel();
    surface.function("ProcessManager", move || ProcessManager::new(&channel));
    surface.function("processes", |manager: &mut ProcessManager| manager.processes());
    surface.function("processes", |manager: &mut ProcessManager, options: ProcessOptions| manager.list(&options));
}
