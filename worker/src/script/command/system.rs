//! Commands that tell of the system: `free`, `nproc`, `uname`, `hostname`, `dmesg`, `sysctl_*`, `df`, `iostat`,
//! `lsblk`, `curl`, `resolve`, `ip_addr`, `netstat`. Their errors are bare messages.

use crate::error::{Result, bare};
use crate::script::network;
use crate::script::system::filesystems::{self, FilesystemOptions};
use crate::script::system::{info, interfaces, iostat, kernel_log, lsblk, sockets, sysctl};
use crate::script::{Surface, item, record};
use rhai::{Array, Dynamic, Map};

/// Registers the commands.
pub(super) fn register(surface: &mut Surface) {
    let channel = surface.channel();
    surface.function("free", move || -> Result<Map> {
        let (memory, swap) = (info::memory(&channel).map_err(bare)?, info::swap(&channel).map_err(bare)?);
        Ok(Map::from_iter([item("memory", Dynamic::from(memory)), item("swap", Dynamic::from(swap))]))
    });
    let channel = surface.channel();
    surface.function("nproc", move || info::processors(&channel).map_err(bare));
    let channel = surface.channel();
    surface.function("uname", move || info::names(&channel).map_err(bare));
    let channel = surface.channel();
    surface.function("hostname", move || info::hostname(&channel).map_err(bare));
    let channel = surface.channel();
    surface.function("dmesg", move || kernel_log::read(&channel, false).map_err(bare));
    let channel = surface.channel();
    surface.function("sysctl_read", move |key: &str| sysctl::read(&channel, key).map_err(bare));
    let channel = surface.channel();
    surface.function("sysctl_write", move |key: &str, value: &str| sysctl::write(&channel, key, value).map_err(bare));
    let channel = surface.channel();
    surface.function("sysctl_find", move |expression: &str| -> Result<Array> {
        let settings = sysctl::find(&channel, expression).map_err(bare)?;
        Ok(settings.iter().map(|setting| record::to_map(setting, sysctl::SETTING).into()).collect())
    });
    let channel = surface.channel();
    surface.function("df", move || -> Result<Array> {
        let systems = filesystems::list(&channel, &FilesystemOptions::default()).map_err(bare)?;
        Ok(systems.into_iter().map(Dynamic::from).collect())
    });
    let channel = surface.channel();
    surface.function("iostat", move || iostat::read(&channel).map_err(bare));
    let channel = surface.channel();
    surface.function("lsblk", move || lsblk::read(&channel).map_err(bare));
    let channel = surface.channel();
    surface.function("curl", move |url: &str| network::curl(&channel, url).map_err(bare));
    let channel = surface.channel();
    surface.function("resolve", move |host: &str| network::resolve(&channel, host).map_err(bare));
    let channel = surface.channel();
    surface.function("ip_addr", move || interfaces::list(&channel).map_err(bare));
    let channel = surface.channel();
    surface.function("netstat", move || -> Result<Map> { Ok(sockets::read(&channel).map_err(bare)?.brief()) });
}
