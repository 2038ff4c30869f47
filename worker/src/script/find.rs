//! `find`: calls a function of the script for each entry of a tree that is looked for.

use super::date::DateTime;
use super::dir::Directory;
use super::entry::DirEntry;
use super::options::{self, OUT_OF_RANGE, Options, Setters};
use super::size::SizeRange;
use super::walk::{Found, Step, Walk, Way, unless_limit};
use super::{Surface, refuse};
use crate::error::{Error, Io, Result};
use crate::fault;
use crate::text::pattern::{self, Glob};
use crate::value::Texts;
use regex::Regex;
use rex_protocol::fs::Metadata;
use rhai::{Dynamic, EvalAltResult, FnPtr, NativeCallContext};
use serde::Deserialize;

/// What to look for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct FindOptions {
    name: Option<String>,
    iname: Option<String>,
    regex: Option<String>,
    negate_name: bool,
    #[serde(skip)]
    size_range: Option<SizeRange>,
    min_depth: Option<i64>,
    max_depth: Option<i64>,
    #[serde(skip)]
    min_creation_time: Option<DateTime>,
    #[serde(skip)]
    max_creation_time: Option<DateTime>,
    #[serde(skip)]
    min_modification_time: Option<DateTime>,
    #[serde(skip)]
    max_modification_time: Option<DateTime>,
    follow_symlinks: bool,
}

impl Options for FindOptions {
    const NAME: &'static str = "FindOptions";

    fn setters(setters: &mut Setters<'_, Self>) {
        setters.value("size_range", |options, range| options.size_range = Some(range));
        setters.value("min_creation_time", |options, time| options.min_creation_time = Some(time));
        setters.value("max_creation_time", |options, time| options.max_creation_time = Some(time));
        setters.value("min_modification_time", |options, time| options.min_modification_time = Some(time));
        setters.value("max_modification_time", |options, time| options.max_modification_time = Some(time));
    }

    fn check(&self) -> std::result::Result<(), String> {
        let patterns = [&self.name, &self.iname, &self.regex].into_iter().flatten().count();
        if patterns > 1 {
            return Err("Validation error: Only one of 'name', 'iname', or 'regex' can be specified".into());
        }
        if self.negate_name && self.name.is_none() && self.iname.is_none() {
            return Err("Validation error: negate_name can only be used with 'name' or 'iname' patterns".into());
        }
        self.size_range.map_or(Ok(()), |range| range.check())
    }
}

/// What to look for, ready to be held against entries.
struct Search {
    naming: Naming,
    /// The depths of the first and the last entries.
    depths: (usize, usize),
    filter: Filter,
}

/// Which names are wanted.
enum Naming {
    Any,
    Glob {
        glob: Glob,
        negate: bool,
    },
    /// Searched in the full path.
    Path(Regex),
}

/// Bounds, both included, of what entries are like. Times are in seconds since 1970.
#[derive(Debug, Default)]
struct Filter {
    size: Option<SizeRange>,
    changed: Option<(i64, i64)>,
    modified: Option<(i64, i64)>,
}

impl Search {
    fn new(options: &FindOptions) -> Result<Self> {
        let naming = match (&options.name, &options.iname, &options.regex) {
            (Some(name), _, _) => Naming::Glob { glob: Glob::new(name, false)?, negate: options.negate_name },
            (_, Some(name), _) => Naming::Glob { glob: Glob::new(name, true)?, negate: options.negate_name },
            (_, _, Some(regex)) => Naming::Path(pattern::regex(regex, regex)?),
            _ => Naming::Any,
        };
        let depths = (depth(options.min_depth.unwrap_or(0))?, depth(options.max_depth.unwrap_or(i64::MAX))?);
        Ok(Self { naming, depths, filter: Filter::new(options)? })
    }

    fn way(&self, options: &FindOptions) -> Way {
        let deepest = self.depths.1.max(1);
        Way { deepest, stat: self.filter.asks(), device: None, follow: options.follow_symlinks }
    }

    /// Whether an entry is looked for. What a filter must know and may not is an error.
    fn wants(&self, found: &Found) -> Result<bool> {
        if found.depth < self.depths.0 {
            return Ok(false);
        }
        if self.filter.asks() {
            match &found.stat {
                Some(Ok(stat)) if self.filter.passes(stat) => {}
                Some(Err(failure)) if failure.is_denial() => {
                    return Err(refuse::general(failure, found.parent.path()).into());
                }
                // It is gone by now, or its name cannot be used.
                _ => return Ok(false),
            }
        }
        Ok(match &self.naming {
            Naming::Any => true,
            Naming::Glob { glob, negate } => glob.matches(&found.entry.name.to_text()) != *negate,
            Naming::Path(regex) => {
                let path = found.parent.join(&found.entry.name);
                path.is_ok_and(|path| regex.is_match(&path.to_string()))
            }
        })
    }
}

impl Filter {
    fn new(options: &FindOptions) -> Result<Self> {
        Ok(Self {
            size: options.size_range,
            changed: span(options.min_creation_time, options.max_creation_time)?,
            modified: span(options.min_modification_time, options.max_modification_time)?,
        })
    }

    fn asks(&self) -> bool {
        self.size.is_some() || self.changed.is_some() || self.modified.is_some()
    }

    fn passes(&self, stat: &Metadata) -> bool {
        self.size.is_none_or(|range| range.contains(stat.size))
            && self.changed.is_none_or(|(from, to)| (from..=to).contains(&stat.changed_seconds))
            && self.modified.is_none_or(|(from, to)| (from..=to).contains(&stat.modified_seconds))
    }
}

/// From one time to another, if there is either.
fn span(from: Option<DateTime>, to: Option<DateTime>) -> Result<Option<(i64, i64)>> {
    if from.is_none() && to.is_none() {
        return Ok(None);
    }
    let seconds = |time: Option<DateTime>, none| time.map_or(Ok(none), |time| time.epoch_seconds());
    Ok(Some((seconds(from, i64::MIN)?, seconds(to, i64::MAX)?)))
}

fn depth(depth: i64) -> Result<usize> {
    Ok(usize::try_from(depth).map_err(|_| Error::new(Io::TryFromIntError, OUT_OF_RANGE))?)
}

/// Calls `each` with every entry below `dir` that is looked for. A start that cannot be listed has none.
fn find(dir: &Directory, options: &FindOptions, mut each: impl FnMut(DirEntry) -> Result<()>) -> Result<()> {
    let search = Search::new(options)?;
    let fault = |failure| refuse::general(&failure, dir.path());
    let mut walk = match Walk::begin(dir, search.way(options)) {
        Ok(walk) => walk,
        Err(failure) => return unless_limit(failure).map(drop).map_err(|failure| fault(failure).into()),
    };
    while let Some(step) = walk.next().map_err(fault)? {
        if let Step::Entry(found) = step
            && search.wants(&found)?
        {
            each(DirEntry::found(found))?;
        }
    }
    Ok(())
}

/// Calls the script's function. What ends the script ends it from here too, and all else is the search's own error.
fn call(callback: &FnPtr, context: &NativeCallContext<'_>, entry: DirEntry, texts: &Texts) -> Result<()> {
    let called = callback.call_within_context::<Dynamic>(context, (entry,));
    called.map(drop).map_err(|error: Box<EvalAltResult>| {
        if !error.unwrap_inner().is_catchable() {
            return error;
        }
        let (text, origin) = fault::told(*error, texts);
        Error::with_origin(origin, Io::CallbackError, format!("Rhai callback execution failed: {text}")).into()
    })
}

/// Registers `find` and its options.
pub(super) fn register(surface: &mut Surface) {
    options::register::<FindOptions>(surface);
    let texts = surface.texts();
    surface.function(
        "find",
        move |context: NativeCallContext<'_>, dir: Directory, options: FindOptions, callback: FnPtr| {
            find(&dir, &options, |entry| call(&callback, &context, entry, &texts))
        },
    );
}
