//! `SystemInfo`: memory, processors, names.

use super::{kernel_log, slabs, statistics, table};
use crate::channel::Channel;
use crate::error::{Error, Result, Systeminfo};
use crate::format::kernel::memory::{self, Memory, Swap};
use crate::format::kernel::processors;
use crate::script::network::ResolveOptions;
use crate::script::record::{self, Property};
use crate::script::{Surface, number};
use rex_protocol::Failure;
use rex_protocol::path::AbsPath;
use rex_protocol::system::{OnlineProcessors, SystemNames, Table, Uname};
use std::fmt;
use std::rc::Rc;

/// The way to all of it.
#[derive(Debug, Clone)]
pub(super) struct SystemInfo(pub(super) Rc<Channel>);

/// What the system is called.
#[derive(Debug, Clone)]
pub(in crate::script) struct Names(Rc<SystemNames>);

const MEMORY: &[Property<Memory>] = &[
    ("available", |memory| number(memory.available).into()),
    ("buffers", |memory| number(memory.buffers).into()),
    ("cached", |memory| number(memory.cached).into()),
    ("free", |memory| number(memory.free).into()),
    ("shared_mem", |memory| number(memory.shared).into()),
    ("total", |memory| number(memory.total).into()),
    ("used", |memory| number(memory.used()).into()),
];

const SWAP: &[Property<Swap>] = &[
    ("free", |swap| number(swap.free).into()),
    ("total", |swap| number(swap.total).into()),
    ("used", |swap| number(swap.used()).into()),
];

const NAMES: &[Property<Names>] = &[
    ("hardware_platform", |names| names.0.machine.to_string().into()),
    ("kernel_name", |names| names.0.kernel.to_string().into()),
    ("kernel_release", |names| names.0.release.to_string().into()),
    ("kernel_version", |names| names.0.version.to_string().into()),
    ("machine", |names| names.0.machine.to_string().into()),
    ("nodename", |names| names.0.node.to_string().into()),
    ("operating_system", |_| OPERATING_SYSTEM.into()),
    ("processor", |names| names.0.machine.to_string().into()),
];

const OPERATING_SYSTEM: &str = "GNU/Linux";

/// Memory.
pub(in crate::script) fn memory(channel: &Rc<Channel>) -> Result<Memory> {
    Ok(meminfo(channel)?.0)
}

/// Swap.
pub(in crate::script) fn swap(channel: &Rc<Channel>) -> Result<Swap> {
    Ok(meminfo(channel)?.1)
}

/// What the system is called.
pub(in crate::script) fn names(channel: &Rc<Channel>) -> Result<Names> {
    Ok(channel.call(&Uname {}).map(|names| Names(Rc::new(names))).map_err(|failure| refused(&failure))?)
}

/// The host's name.
pub(in crate::script) fn hostname(channel: &Rc<Channel>) -> Result<String> {
    names(channel).map(|names| names.0.node.to_string())
}

/// How many processors are in use.
pub(in crate::script) fn processors(channel: &Rc<Channel>) -> Result<i64> {
    let list = channel.call(&OnlineProcessors {}).map_err(|failure| refused(&failure))?;
    let none = || Error::new(Systeminfo::Other, format!("`{}` is no list of processors", list.trim()));
    Ok(processors::count(&list).map(number).ok_or_else(none)?)
}

fn meminfo(channel: &Rc<Channel>) -> Result<(Memory, Swap)> {
    let text = table::bytes(channel, Table::Memory, Systeminfo::PermissionDenied, Systeminfo::Other)?;
    Ok(memory::read(&String::from_utf8_lossy(&text)))
}

/// Nothing of this is about a path.
fn refused(failure: &Failure) -> Error {
    super::refused(failure, &AbsPath::root(), Systeminfo::PermissionDenied, Systeminfo::Other)
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SystemNames { kernel, node, release, version, machine } = &*self.0;
        write!(f, "{kernel} {node} {release} {version} {machine} {machine} {machine} {OPERATING_SYSTEM}")
    }
}

/// Registers the object and what it gives.
pub(super) fn register(surface: &mut Surface) {
    surface.named::<SystemInfo>("SystemInfo");
    surface.shown::<Memory>("Meminfo");
    surface.shown::<Swap>("Swapinfo");
    surface.shown::<Names>("UnameInfo");
    record::register(surface, MEMORY);
    record::register(surface, SWAP);
    record::register(surface, NAMES);
    let channel = surface.channel();
    surface.function("SystemInfo", move || SystemInfo(Rc::clone(&channel)));
    surface.function("memory_info", |info: &mut SystemInfo| memory(&info.0));
    surface.function("swap_info", |info: &mut SystemInfo| swap(&info.0));
    surface.function("kernel_stats", |info: &mut SystemInfo| statistics::read(&info.0));
    surface.function("cpu_count", |info: &mut SystemInfo| processors(&info.0));
    surface.function("hostname", |info: &mut SystemInfo| hostname(&info.0));
    surface.function("uname_info", |info: &mut SystemInfo| names(&info.0));
    surface.function("slab_info", |info: &mut SystemInfo| slabs::read(&info.0));
    surface.function("resolve_hostname", |info: &mut SystemInfo, options: ResolveOptions| options.ask(&info.0));
    surface.function("dmesg_info", |info: &mut SystemInfo, options: kernel_log::DmesgOptions| {
        kernel_log::read(&info.0, options.human_readable_time)
    });
}
