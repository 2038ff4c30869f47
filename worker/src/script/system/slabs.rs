//! Caches of kernel objects.

use crate::channel::Channel;
use crate::error::{Error, Result, Systeminfo, as_kind};
use crate::format::kernel::percent;
use crate::format::kernel::slabs::{self, Slab, Summary, kilobytes};
use crate::script::dir::{Directory, How};
use crate::script::record::{self, Property};
use crate::script::{Surface, item, number};
use crate::sys;
use crate::text::path;
use rhai::{Array, Dynamic, Map};
use std::rc::Rc;

/// All caches.
#[derive(Debug, Clone)]
pub(super) struct Slabs(Rc<(Vec<Slab>, Summary)>);

const SLAB: &[Property<Slab>] = &[
    ("active", |slab| number(slab.active).into()),
    ("name", |slab| slab.name.clone().into()),
    ("obj_per_slab", |slab| number(slab.objects_per_slab).into()),
    ("obj_size_bytes", |slab| number(slab.object_size).into()),
    ("objs", |slab| number(slab.objects).into()),
    ("pages_per_slab", |slab| number(slab.pages_per_slab).into()),
    ("slabs", |slab| number(slab.active_slabs).into()),
];

/// What follows from these.
const DERIVED: &[Property<Slab>] = &[
    ("active_size_kb", |slab| slab.active_size_kb(sys::page_size()).into()),
    ("cache_size_kb", |slab| number(slab.cache_size_kb(sys::page_size())).into()),
    ("obj_size_kb", |slab| kilobytes(slab.object_size).into()),
    ("use_percent", |slab| number(slab.use_percent()).into()),
];

const SUMMARY: &[Property<Summary>] = &[
    ("active_caches", |all| number(all.active_caches).into()),
    ("active_objects", |all| number(all.active_objects).into()),
    ("active_size_kb", |all| kilobytes(all.active_size).into()),
    ("active_slabs", |all| number(all.active_slabs).into()),
    ("avg_obj_size_kb", |all| all.average_kb().into()),
    ("caches_usage_percent", |all| percent(all.active_caches, all.total_caches).into()),
    ("max_obj_size_kb", |all| kilobytes(all.largest).into()),
    ("min_obj_size_kb", |all| kilobytes(all.smallest).into()),
    ("objects_usage_percent", |all| percent(all.active_objects, all.total_objects).into()),
    ("size_usage_percent", |all| percent(all.active_size, all.total_size).into()),
    ("slabs_usage_percent", |all| percent(all.active_slabs, all.total_slabs).into()),
    ("total_caches", |all| number(all.total_caches).into()),
    ("total_objects", |all| number(all.total_objects).into()),
    ("total_size_kb", |all| kilobytes(all.total_size).into()),
    ("total_slabs", |all| number(all.total_slabs).into()),
];

/// All caches.
pub(super) fn read(channel: &Rc<Channel>) -> Result<Slabs> {
    let text = text(channel).map_err(|error| as_kind(error, Systeminfo::Other))?;
    let slabs = slabs::read(&text).map_err(|error| Error::new(Systeminfo::Other, error.to_string()))?;
    let summary = Summary::of(&slabs);
    Ok(Slabs(Rc::new((slabs, summary))))
}

/// It is opened as any file is: not everybody may read it.
fn text(channel: &Rc<Channel>) -> Result<String> {
    let place = path::place("/proc/slabinfo", "file")?;
    Directory::open(channel, place.dir, false)?.file(&place.name, How::READ)?.text()
}

/// Registers caches.
pub(super) fn register(surface: &mut Surface) {
    surface.named::<Slabs>("SlabInfo");
    surface.named::<Slab>("SlabEntry");
    surface.shown::<Summary>("SlabSummary");
    record::register(surface, SLAB);
    record::add(surface, DERIVED);
    record::register(surface, SUMMARY);
    surface.property("slabs", |all: &mut Slabs| -> Array { all.0.0.iter().cloned().map(Dynamic::from).collect() });
    surface.property("summary", |all: &mut Slabs| all.0.1);
    surface.function("to_map", |all: &mut Slabs| {
        let slabs: Array = all.0.0.iter().map(|slab| Dynamic::from_map(record::to_map(slab, SLAB))).collect();
        Map::from_iter([item("slabs", slabs), item("summary", record::to_map(&all.0.1, SUMMARY))])
    });
}
