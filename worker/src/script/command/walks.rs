//! Commands that walk trees: `find_files`, `du`.

use super::flags::{Flag, Flags, read};
use crate::channel::Channel;
use crate::error::{self, Result};
use crate::script::dir::Directory;
use crate::script::options::Options;
use crate::script::usage::{self, DiskUsageOptions};
use crate::script::walk::{Step, Walk, Way};
use crate::script::{Surface, item, number, refuse};
use crate::text::path;
use crate::text::pattern::Glob;
use rhai::{Array, Dynamic, Map, NativeCallContext};
use std::rc::Rc;

/// The flags of `find_files`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Find {
    Recursive,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Du {
    Summarize,
    AllFiles,
    ApparentSize,
    MaxDepth(i64),
}

impl Flag for Find {
    const COMMAND: &'static str = "glob";
    const TYPE: &'static str = "GlobFlag";
}
impl Flag for Du {
    const COMMAND: &'static str = "du";
    const TYPE: &'static str = "DuFlag";
}

/// Registers the commands and their flags.
pub(super) fn register(surface: &mut Surface) {
    Flags::new().flag(&["recursive", "r"], Find::Recursive).register(surface);
    Flags::new()
        .flag(&["summarize", "s"], Du::Summarize)
        .flag(&["all_files", "a"], Du::AllFiles)
        .flag(&["apparent_size"], Du::ApparentSize)
        .made(&["max_depth", "d"], Du::MaxDepth)
        .register(surface);

    let channel = surface.channel();
    surface.function("find_files", move |pattern: &str, path: &str| find_files(&channel, &[], pattern, path));
    let channel = surface.channel();
    surface.function("find_files", move |context: NativeCallContext<'_>, flags: Array, pattern: &str, path: &str| {
        find_files(&channel, &read(&context, &flags)?, pattern, path)
    });
    let channel = surface.channel();
    surface.function("du", move |path: &str| du(&channel, &[], path).map_err(error::bare));
    let channel = surface.channel();
    surface.function("du", move |context: NativeCallContext<'_>, flags: Array, path: &str| {
        read(&context, &flags).and_then(|flags| du(&channel, &flags, path)).map_err(error::bare)
    });
}

/// The names, without their directories, that match a glob.
fn find_files(channel: &Rc<Channel>, flags: &[Find], pattern: &str, path: &str) -> Result<Array> {
    let dir = Directory::open(channel, path::absolute(path)?, true)?;
    let glob = Glob::new(pattern, false)?;
    let fault = |failure| refuse::general(&failure, dir.path());
    let deepest = if flags.contains(&Find::Recursive) { usize::MAX } else { 1 };
    let mut walk = Walk::begin(&dir, Way { deepest, ..Way::THROUGH }).map_err(fault)?;
    let mut names = Array::new();
    while let Some(step) = walk.next().map_err(fault)? {
        if let Step::Entry(found) = step {
            let name = found.entry.name.to_text();
            if glob.matches(&name) {
                names.push(name.into());
            }
        }
    }
    Ok(names)
}

/// What a directory takes. The totals are those of the directory itself.
fn du(channel: &Rc<Channel>, flags: &[Du], path: &str) -> Result<Map> {
    let has = |flag| flags.contains(&flag);
    let max_depth = flags.iter().find_map(|flag| match flag {
        Du::MaxDepth(depth) => Some(*depth),
        _ => None,
    });
    let options = DiskUsageOptions {
        summarize: has(Du::Summarize),
        all_files: has(Du::AllFiles),
        apparent_size: has(Du::ApparentSize),
        max_depth,
        ..DiskUsageOptions::default()
    };
    options.check()?;
    let dir = Directory::open(channel, path::absolute(path)?, true)?;
    let usage = usage::measure(&dir, &options)?;
    let entries: Array = usage.entries.iter().map(|entry| Dynamic::from_map(entry.to_map())).collect();
    Ok(Map::from_iter([
        item("entries", entries),
        item("total_inode_count", number(usage.total.inodes)),
        item("total_size_bytes", number(usage.total.size)),
    ]))
}
