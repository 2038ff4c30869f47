//! A broker that does as a test says, and `rex-exec` run against it.

use rex_protocol::client::{Ending, FromClient, Outcome, Submit, ToClient, Usage};
use rex_protocol::limits::Limits;
use rex_protocol::text::Text;
use rex_protocol::wire::{self, Frames, PREAMBLE};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// One connection, from the broker's side.
pub(crate) struct Peer {
    stream: UnixStream,
    frames: Frames,
}

impl Peer {
    fn new(stream: UnixStream) -> Self {
        Self { stream, frames: Frames::new(wire::FRAME) }
    }

    /// The next message; nothing at the end of the connection.
    pub(crate) fn hear(&mut self) -> Option<FromClient> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.frames.next_frame().unwrap() {
                return Some(wire::decode(&frame).unwrap());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.frames.push(&buffer[..count]),
            }
        }
    }

    /// The preamble and the submission.
    pub(crate) fn submission(&mut self) -> Submit {
        let mut preamble = [0; PREAMBLE.len()];
        self.stream.read_exact(&mut preamble).unwrap();
        assert_eq!(preamble, PREAMBLE);
        match self.hear() {
            Some(FromClient::Submit(submit)) => *submit,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a message. A client that is gone is no fault of the broker's.
    pub(crate) fn say(&mut self, message: &ToClient) {
        self.raw(&wire::frame(message).unwrap());
    }

    /// Sends bytes.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Takes the submission and accepts it.
    pub(crate) fn accept(&mut self) -> Submit {
        let submit = self.submission();
        self.say(&ToClient::Accepted { limits: Limits::DEFAULT, run: Text::default() });
        submit
    }

    /// The end of a run.
    pub(crate) fn end(&mut self, ending: Ending) {
        let usage = Usage { total_ns: 2_000, script_ns: Some(1_000), ..Usage::default() };
        self.say(&ToClient::Outcome(Box::new(Outcome { ending, usage })));
    }
}

/// A broker for one connection, and a folder for files.
pub(crate) struct Fake<T> {
    pub(crate) folder: TempDir,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Fake<T> {
    /// Listens in the background; `serve` has the connection.
    pub(crate) fn new(serve: impl FnOnce(&mut Peer) -> T + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let thread = std::thread::spawn(move || serve(&mut Peer::new(listener.accept().unwrap().0)));
        Self { folder, thread }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> String {
        self.place("socket").to_str().unwrap().to_owned()
    }

    /// A path in the folder.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.place(name), content).unwrap();
        self.place(name).to_str().unwrap().to_owned()
    }

    /// `rex-exec` that speaks to it.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        // These tests may run where signals are ignored, as in the background; `env` execs, so the process stays the same.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT,HUP,TERM").arg(env!("CARGO_BIN_EXE_rex-exec"));
        command.arg("--socket").arg(self.socket()).args(words).stdin(Stdio::null());
        command.env_remove("LOG_LEVEL").env_remove("REX_RUNNER_DISABLE_MONITORING");
        command
    }

    /// Runs `rex-exec` with a script of no interest.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        let script = self.file("script.rhai", "1");
        Ran::of(self.command(&[words, &[&script]].concat()).output().unwrap())
    }

    /// Starts `rex-exec` with a script of no interest, its output piped.
    pub(crate) fn start(&self, words: &[&str]) -> Child {
        let script = self.file("script.rhai", "1");
        let mut command = self.command(&[words, &[&script]].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What `serve` gave.
    pub(crate) fn join(self) -> T {
        self.thread.join().unwrap()
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The JSON on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
