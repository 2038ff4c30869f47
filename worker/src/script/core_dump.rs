//! Core dumps, looked into with the debugger of the system.

use super::dir::{Directory, How};
use super::execute::follow;
use super::file::File;
use super::options::OUT_OF_RANGE;
use super::{Surface, item, refuse};
use crate::channel::Channel;
use crate::error::{Error, Io, Result};
use crate::text::backtrace::{self, Frame, Thread};
use crate::text::path::{self, Place};
use rex_protocol::fs::RunDebugger;
use rex_protocol::text::Text;
use rhai::{Array, Dynamic, Map};
use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

/// The debugger.
const DEBUGGER: &str = "/usr/bin/gdb";
/// How every executable begins, elf(5).
const ELF: &[u8] = b"\x7fELF";

/// An executable and a core dump of it. The files are opened at the first look and kept.
#[derive(Debug, Clone)]
struct CoreDump(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    executable: String,
    core: String,
    files: OnceCell<Files>,
}

#[derive(Debug)]
struct Files {
    debugger: File,
    executable: File,
    core: File,
}

/// A process with its threads.
#[derive(Debug, Clone)]
pub(super) struct TracedProcess {
    threads: Rc<Vec<Thread>>,
    /// Its number, where that is known otherwise than by its first thread.
    pid: Option<i64>,
}

#[derive(Debug, Clone)]
struct TracedThread(Rc<Thread>);

#[derive(Debug, Clone)]
struct TracedFrame(Rc<Frame>);

impl CoreDump {
    fn backtrace(&self, channel: &Rc<Channel>) -> Result<TracedProcess> {
        let text = self.ask(channel, &["thread apply all backtrace".to_owned()])?;
        let threads = backtrace::threads(&text);
        if threads.is_empty() {
            let Inner { executable, core, .. } = &*self.0;
            let message = format!("Unable to parse trace for executable {executable} and core file {core}");
            return Err(Error::new(Io::Other, message).into());
        }
        Ok(TracedProcess::new(threads, None))
    }

    /// The values of variables by name, in a frame of a thread or of the one that ended the process. What is not known there,
    /// or is no name, is missing.
    fn variables(&self, channel: &Rc<Channel>, thread: Option<u32>, frame: u32, names: Array) -> Result<Map> {
        let names: Vec<String> = names.iter().map(Dynamic::to_string).collect();
        let mut commands = Vec::new();
        commands.extend(thread.map(|thread| format!("thread {thread}")));
        commands.push(format!("frame {frame}"));
        for (index, name) in names.iter().enumerate().filter(|(_, name)| backtrace::is_variable(name)) {
            commands.push(format!("echo {}\\n", backtrace::marker(index)));
            commands.push(format!("print {name}"));
        }
        let values = backtrace::values(&self.ask(channel, &commands)?).into_iter();
        Ok(values.filter_map(|(index, value)| Some((names.get(index)?.as_str().into(), value.into()))).collect())
    }

    /// What the debugger says to these commands.
    fn ask(&self, channel: &Rc<Channel>, commands: &[String]) -> Result<String> {
        let files = self.files(channel)?;
        let first = ["-nx", "-batch", "-iex", "set auto-load off", "-iex", "set width 0"].map(str::to_owned);
        let commands = commands.iter().flat_map(|command| ["-ex".to_owned(), command.clone()]);
        let last = ["{executable}", "{core}"].map(str::to_owned);
        let arguments = first.into_iter().chain(commands).chain(last).map(Text::cut).collect();
        let Files { debugger, executable, core } = files;
        let request = RunDebugger {
            debugger: debugger.handle(),
            executable: executable.handle(),
            core: core.handle(),
            arguments,
        };
        let ran = channel.call(&request).and_then(|program| follow(channel, program));
        let ran = ran.map_err(|failure| refuse::general(&failure, core.path()))?;
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    }

    fn files(&self, channel: &Rc<Channel>) -> Result<&Files> {
        if let Some(files) = self.0.files.get() {
            return Ok(files);
        }
        let Inner { executable, core, .. } = &*self.0;
        let debugger = open(channel, DEBUGGER, How { follow: true, ..How::READ })?;
        let files = Files {
            debugger,
            executable: open(channel, executable, How::READ)?,
            core: open(channel, core, How::READ)?,
        };
        let mut start = Vec::new();
        files.executable.pieces(0, |piece| {
            start.extend_from_slice(piece.get(..ELF.len()).unwrap_or(piece));
            false
        })?;
        files.core.may_read()?;
        if start != ELF {
            return Err(Error::new(Io::Other, format!("Invalid executable: {executable}")).into());
        }
        Ok(self.0.files.get_or_init(|| files))
    }
}

/// Opens a file in a directory that is named without a link.
fn open(channel: &Rc<Channel>, path: &str, how: How) -> Result<File> {
    let Place { dir, name } = path::place(path, "file")?;
    Directory::open(channel, dir, false)?.file(&name, how)
}

/// A number as a script gives it.
fn count(name: &str, number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|_| format!("Parameter '{name}' conversion failed: {OUT_OF_RANGE}").into())
}

fn optional<T: Into<Dynamic>>(value: Option<T>) -> Dynamic {
    value.map_or(Dynamic::UNIT, Into::into)
}

impl TracedProcess {
    /// One with these threads, of this number where that is known.
    pub(super) fn new(threads: Vec<Thread>, pid: Option<i64>) -> Self {
        Self { threads: Rc::new(threads), pid }
    }

    /// Its number; without, the kernel's number of the first thread, which is the process's.
    fn pid(&self) -> Dynamic {
        let first = || self.threads.iter().find(|thread| thread.id == 1).and_then(|thread| thread.tid);
        optional(self.pid.or_else(first))
    }

    fn threads(&self) -> Array {
        self.threads.iter().map(|thread| Dynamic::from(TracedThread(Rc::new(thread.clone())))).collect()
    }

    fn to_map(&self) -> Map {
        let threads: Array =
            self.threads.iter().map(|thread| TracedThread(Rc::new(thread.clone())).to_map().into()).collect();
        Map::from_iter([item("pid", self.pid()), item("threads", threads)])
    }
}

impl TracedThread {
    fn frames(&self) -> Array {
        self.0.frames.iter().map(|frame| Dynamic::from(TracedFrame(Rc::new(frame.clone())))).collect()
    }

    fn to_map(&self) -> Map {
        let frames: Array = self.0.frames.iter().map(|frame| frame_map(frame).into()).collect();
        Map::from_iter([item("frames", frames), item("id", self.0.id), item("tid", optional(self.0.tid))])
    }
}

fn frame_map(frame: &Frame) -> Map {
    Map::from_iter([
        item("frame_number", frame.number),
        item("function_name", frame.function.clone()),
        item("instruction_ptr", optional(frame.instruction.clone())),
        item("line_number", optional(frame.line)),
        item("source", optional(frame.source.clone())),
    ])
}

impl fmt::Display for CoreDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CoreDump({}, {})", self.0.executable, self.0.core)
    }
}

impl fmt::Display for TracedProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TracedProcess({} threads)", self.threads.len())
    }
}

impl fmt::Display for TracedThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TracedThread({}, {} frames)", self.0.id, self.0.frames.len())
    }
}

impl fmt::Display for TracedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} {})", self.0.number, self.0.function)
    }
}

/// Registers core dumps.
pub fn register(surface: &mut Surface) {
    surface.shown::<CoreDump>("CoreDump");
    surface.function("CoreDump", |executable: String, core: String| {
        CoreDump(Rc::new(Inner { executable, core, files: OnceCell::new() }))
    });
    surface.function("to_map", |dump: &mut CoreDump| {
        let Inner { executable, core, .. } = &*dump.0;
        Map::from_iter([item("core_dump_path", core.clone()), item("exe_path", executable.clone())])
    });
    let channel = surface.channel();
    surface.function("backtrace", move |dump: CoreDump| dump.backtrace(&channel));
    let channel = surface.channel();
    surface.function("get_variables", move |dump: CoreDump, frame: i64, names: Array| -> Result<Map> {
        dump.variables(&channel, None, count("frame_number", frame)?, names)
    });
    let channel = surface.channel();
    surface.function("get_variables", move |dump: CoreDump, thread: i64, frame: i64, names: Array| -> Result<Map> {
        let (thread, frame) = (count("thread_id", thread)?, count("frame_number", frame)?);
        dump.variables(&channel, Some(thread), frame, names)
    });

    surface.shown::<TracedProcess>("TracedProcess");
    surface.property("pid", |process: &mut TracedProcess| process.pid());
    surface.property("threads", |process: &mut TracedProcess| process.threads());
    surface.function("to_map", |process: &mut TracedProcess| process.to_map());
    surface.shown::<TracedThread>("TracedThread");
    surface.property("id", |thread: &mut TracedThread| thread.0.id);
    surface.property("tid", |thread: &mut TracedThread| optional(thread.0.tid));
    surface.property("frames", |thread: &mut TracedThread| thread.frames());
    surface.function("to_map", |thread: &mut TracedThread| thread.to_map());
    surface.shown::<TracedFrame>("Frame");
    surface.property("frame_number", |frame: &mut TracedFrame| frame.0.number);
    surface.property("function_name", |frame: &mut TracedFrame| frame.0.function.clone());
    surface.property("instruction_ptr", |frame: &mut TracedFrame| optional(frame.0.instruction.clone()));
    surface.property("source", |frame: &mut TracedFrame| optional(frame.0.source.clone()));
    surface.property("line_number", |frame: &mut TracedFrame| optional(frame.0.line));
    surface.function("to_map", |frame: &mut TracedFrame| frame_map(&frame.0));
}
