//! Running programs.

use crate::handle::{File, Program};
use crate::text::{Chunk, Text};
use crate::{Action, Effect, Handle, Operation};
use serde::{Deserialize, Serialize};

/// Run exactly the open file as a program.
///
/// Asks `execute` on it; the context tells arguments, environment, user, group and namespace. Arguments whose meaning the
/// context could not tell (a name that stands for two values) are refused.
///
/// The program has this environment and no other, `/` as its directory, no input, no descriptor but its standard streams,
/// `no_new_privs`, a session and process group of its own, and the run's memory and time limits. It is confined to
/// what policy could grant its caller (`broker/src/perform/execute`). When it ends, everything that it started ends too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Execute {
    /// The file, opened for reading only.
    pub file: Handle<File>,
    /// Arguments, after the file's name; together with the environment at most [`ARGUMENTS`] bytes.
    pub arguments: Vec<Argument>,
    /// The environment, names not repeated.
    pub environment: Vec<(Text<4096>, Text<ARGUMENTS>)>,
    /// Capabilities that it has, `CAP_...` (capabilities(7)).
    pub capabilities: Vec<Text<64>>,
    /// The user it runs as, by name; the caller without.
    pub user: Option<Text<256>>,
    /// The group it runs in, by name; the caller's without, or the user's own.
    pub group: Option<Text<256>>,
    /// The process whose pid namespace it joins.
    pub namespace: Option<u32>,
}

/// The most bytes of arguments and environment together.
pub const ARGUMENTS: usize = 96 * 1024;

/// An argument as a script gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Argument {
    /// A flag or a value: one argument of the program.
    Single(Text<ARGUMENTS>),
    /// A key and its value: two arguments of the program.
    Pair(Text<ARGUMENTS>, Text<ARGUMENTS>),
}

impl Operation for Execute {
    type Reply = Handle<Program>;
    const NAME: &'static str = "fs.execute";
    const EFFECT: Effect<Self> = Effect::Changes;
    const ACTIONS: &'static [Action] = &[Action::FileExecute];
}

/// Take what a running program has put out, or wait a little for it. Asks what was asked to start it: `execute`, or for the
/// debugger `open` and `read`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Follow {
    /// The program.
    pub program: Handle<Program>,
}

/// What a program has put out since the last time. May be nothing: ask again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProgramOutput {
    /// On its standard output; half of a chunk at most.
    pub stdout: Chunk,
    /// On its standard error; half of a chunk at most.
    pub stderr: Chunk,
    /// How it ended, when all that it put out was taken.
    pub ended: Option<Exit>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal, `signal(7)`.
    Signal(i32),
}

impl Operation for Follow {
    type Reply = ProgramOutput;
    const NAME: &'static str = "fs.follow";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileExecute, Action::FileOpen, Action::FileRead];
}

/// Run the debugger that is open as a file over an executable and its core dump, without any right of its own: it can read
/// these two files and the system's libraries and nothing else, and has no identity, network or capability.
///
/// Asks `open` on the debugger and `read` on the executable and the core dump; not `execute`, since what runs can do no more
/// than to read what the caller may read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunDebugger {
    /// The debugger, opened for reading.
    pub debugger: Handle<File>,
    /// The executable, opened for reading.
    pub executable: Handle<File>,
    /// The core dump, opened for reading.
    pub core: Handle<File>,
    /// Its arguments; `{executable}` and `{core}` as whole arguments stand for the two files.
    pub arguments: Vec<Text<4096>>,
}

impl Operation for RunDebugger {
    type Reply = Handle<Program>;
    const NAME: &'static str = "fs.run_debugger";
    const EFFECT: Effect<Self> = Effect::Looks;
    const ACTIONS: &'static [Action] = &[Action::FileOpen, Action::FileRead];
}
