//! `lsblk`: block devices, where they are mounted, and what is made of them.

use super::table;
use crate::channel::Channel;
use crate::error::{Diskinfo, Result};
use crate::format::kernel::mounts;
use crate::format::kernel::partitions::{self, Device};
use crate::script::dir::{Directory, How};
use crate::script::{item, number, refuse};
use crate::text::path::{self, Place};
use rex_protocol::Failure;
use rex_protocol::fs::{LinkText, OpenDir, ReadLink};
use rex_protocol::path::Name;
use rex_protocol::system::Table;
use rhai::{Array, Dynamic, Map};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Where devices have links by what they are called.
const BY_ID: &str = "/dev/disk/by-id";
/// How the links of logical volumes begin there.
const VOLUME: &str = "dm-name-";
/// Where devices have links by their numbers.
const BY_NUMBER: &str = "/sys/dev/block";

/// What is told of a device.
#[derive(Debug)]
struct Told {
    kind: String,
    removable: String,
    read_only: String,
}

/// The block devices by their names.
pub(in crate::script) fn read(channel: &Rc<Channel>) -> Result<Map> {
    let devices = partitions::read(&text(channel, "/proc/partitions")?);
    let volumes = volumes(channel)?;
    let mounted = mounted(channel)?;
    let name_of = |device: &str| volumes.get(device).cloned().unwrap_or_else(|| device.to_owned());
    let mut told = BTreeMap::new();
    for device in &devices {
        told.insert(&device.name, look(channel, device, volumes.contains_key(&device.name))?);
    }
    let mut children: HashMap<String, Array> = HashMap::new();
    for device in &devices {
        let parents = match told.get(&device.name).map(|told| told.kind.as_str()) {
            Some("partition") => disk_of(channel, device)?.into_iter().collect(),
            Some("lvm") => slaves(channel, device),
            _ => Vec::new(),
        };
        for parent in parents {
            children.entry(name_of(&parent)).or_default().push(name_of(&device.name).into());
        }
    }
    let maps = devices.iter().filter_map(|device| {
        let (name, told) = (name_of(&device.name), told.get(&device.name)?);
        let places = [format!("/dev/{}", device.name), format!("/dev/mapper/{name}")];
        let mount_point = places.iter().find_map(|place| mounted.get(place)).cloned().unwrap_or_default();
        let map = Map::from_iter([
            item("children", children.remove(&name).unwrap_or_default()),
            item("maj", device.major.clone()),
            item("min", device.minor.clone()),
            item("mount_point", mount_point),
            item("name", name.clone()),
            item("read_only", told.read_only.clone()),
            item("removable", told.removable.clone()),
            item("size_kib", number(device.size_kib)),
            item("type", told.kind.clone()),
        ]);
        Some((name.into(), Dynamic::from_map(map)))
    });
    Ok(maps.collect())
}

/// The names of logical volumes, by those of their devices. Without links of this kind there are none.
fn volumes(channel: &Rc<Channel>) -> Result<HashMap<String, String>> {
    let request = OpenDir { path: path::absolute(BY_ID)?, follow: false, create: None };
    let dir = match Directory::try_open(channel, &request) {
        Ok(dir) => dir,
        Err(failure) if refuse::is_gone(&failure) => return Ok(HashMap::new()),
        Err(failure) => return Err(refuse::open_dir(&failure, &request.path, false, None).into()),
    };
    let mut links = Vec::new();
    dir.list(|entry| links.push(entry.name))?;
    let mut volumes = HashMap::new();
    for link in links {
        let shown = link.to_text();
        let Some(name) = shown.strip_prefix(VOLUME) else { continue };
        let path = dir.join(&link)?;
        let target = read_link(&dir, link).map_err(|failure| refuse::general(&failure, &path))?;
        volumes.insert(last(&target.to_text(), 0).to_owned(), name.to_owned());
    }
    Ok(volumes)
}

/// Where devices are mounted, by their paths; of several mounts the last.
fn mounted(channel: &Rc<Channel>) -> Result<HashMap<String, String>> {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let table = table::bytes(channel, Table::Mounts, Diskinfo::PermissionDenied, Diskinfo::Other)?;
    let mounts = mounts::read(&table);
    let mut places: HashMap<String, String> =
        mounts.iter().map(|mount| (shown(&mount.device), shown(&mount.point))).collect();
    places
        .extend(partitions::swaps(&text(channel, "/proc/swaps")?).into_iter().map(|name| (name, "[SWAP]".to_owned())));
    Ok(places)
}

/// What the kernel tells of a device in its directory; of one without, nothing.
fn look(channel: &Rc<Channel>, device: &Device, is_volume: bool) -> Result<Told> {
    let request = OpenDir { path: path::absolute(&by_number(device))?, follow: true, create: None };
    let dir = match Directory::try_open(channel, &request) {
        Ok(dir) => Some(dir),
        Err(failure) if refuse::is_gone(&failure) => None,
        Err(failure) => return Err(refuse::open_dir(&failure, &request.path, true, None).into()),
    };
    let uevent = match &dir {
        Some(dir) if !is_volume => dir.file(&name("uevent")?, How::READ)?.text()?,
        _ => String::new(),
    };
    let kind = if is_volume { "lvm" } else { partitions::value(&uevent, "DEVTYPE").unwrap_or("unknown") };
    let flag = |name: Result<Name>| {
        let text = dir.as_ref().and_then(|dir| dir.file(&name.ok()?, How::READ).ok()?.text().ok());
        text.map_or_else(|| "0".to_owned(), |text| text.trim().to_owned())
    };
    // A partition is removed with its disk.
    let removable = if kind == "partition" { "0".to_owned() } else { flag(name("removable")) };
    Ok(Told { kind: kind.to_owned(), removable, read_only: flag(name("ro")) })
}

/// The disk that a partition is part of: the directory that holds its own.
fn disk_of(channel: &Rc<Channel>, device: &Device) -> Result<Option<String>> {
    let Place { dir, name } = path::place(&by_number(device), "file")?;
    let dir = Directory::open(channel, dir, false)?;
    let path = dir.join(&name)?;
    let target = read_link(&dir, name).map_err(|failure| refuse::general(&failure, &path))?;
    Ok(Some(last(&target.to_text(), 1).to_owned()).filter(|disk| !disk.is_empty()))
}

/// What a logical volume is made of, as far as that may be looked at.
fn slaves(channel: &Rc<Channel>, device: &Device) -> Vec<String> {
    let mut names = Vec::new();
    let path = path::absolute(&format!("{}/slaves", by_number(device))).ok();
    if let Some(dir) = path.and_then(|path| Directory::open(channel, path, true).ok()) {
        // What is denied is left out.
        let _ = dir.list(|entry| names.push(entry.name.to_text()));
    }
    names
}

fn by_number(device: &Device) -> String {
    format!("{BY_NUMBER}/{}:{}", device.major, device.minor)
}

/// The component of a path that is so many before its last.
fn last(path: &str, before: usize) -> &str {
    path.rsplit('/').nth(before).unwrap_or_default()
}

fn read_link(dir: &Directory, name: Name) -> std::result::Result<LinkText, Failure> {
    dir.channel().call(&ReadLink { dir: dir.handle(), name })
}

/// The text of a file that is opened as any other.
fn text(channel: &Rc<Channel>, path: &str) -> Result<String> {
    let Place { dir, name } = path::place(path, "file")?;
    Directory::open(channel, dir, false)?.file(&name, How::READ)?.text()
}

fn name(name: &str) -> Result<Name> {
    Ok(Name::parse(name).map_err(|error| error.to_string())?)
}
