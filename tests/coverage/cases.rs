//! A call of each operation.

use crate::stage::{Stage, listed, name};
use crate::{Called, Case};
use rex_client::fs::*;
use rex_client::{Action, Chunk, Failure, FailureKind, Handle, Text};
use rex_protocol::failure::Denial;
use rex_protocol::network::{Connect, Fetch, Method, ReadBody, Resolve, Transport};
use rex_protocol::process::{
    EnterNamespaces, EnterNetwork, FilesOf, ListOpenFiles, ListProcesses, NETWORKS, Processes, Signal, SignalKind,
    Trace,
};
use rex_protocol::run::{Narrow, Narrowed};
use rex_protocol::system::*;
use rex_protocol::systemd::*;
use std::os::unix::fs::PermissionsExt;

/// Cases that need no more than a request.
macro_rules! cases {
    ($($operation:ident: |$stage:ident| $request:expr;)*) => {
        $(impl Case for $operation {
            fn request($stage: &Stage) -> Self {
                $request
            }
        })*
    };
}

cases! {
    OpenSubdir: |stage| OpenSubdir { dir: stage.root(), name: name("dir"), follow: false };
    OpenEntry: |stage| OpenEntry { path: stage.abs("file") };
    OpenLink: |stage| OpenLink { dir: stage.root(), name: name("new-link") };
    Read: |stage| Read { file: stage.file("file"), offset: 0, length: 1 };
    ReadRedacted: |stage| ReadRedacted { file: stage.file("file"), offset: 0 };
    ReadLink: |stage| ReadLink { dir: stage.root(), name: name("new-link") };
    ReadOpenLink: |stage| ReadOpenLink {
        link: stage.hold(stage.session().call(&OpenLink::request(stage)).map(|opened| opened.link)),
    };
    Touch: |stage| Touch { dir: stage.root(), name: name("file") };
    MakeDir: |stage| MakeDir { path: stage.abs("dir/new/below"), parents: true };
    MakeLink: |stage| MakeLink {
        dir: stage.root(),
        name: name("new-link"),
        target: LinkText::try_from(b"dir".to_vec()).expect("a link's text"),
        replace: true,
    };
    ListDir: |stage| ListDir { dir: stage.dir("dir"), listing: None };
    Stat: |stage| Stat { object: Object::File(stage.file("file")) };
    SetMode: |stage| SetMode { object: Object::File(stage.file("file")), mode: 0o600 };
    SetOwner: |stage| SetOwner {
        object: Object::File(stage.file("file")),
        user: Some(stage.nobody()),
        group: None,
    };
    BeginFile: |stage| BeginFile { dir: stage.root(), way: way(&["new", "file"]) };
    Execute: |stage| Execute {
        file: stage.file("tool"),
        arguments: Vec::new(),
        environment: Vec::new(),
        capabilities: Vec::new(),
        user: None,
        group: None,
        namespace: None,
    };
    RunDebugger: |stage| RunDebugger {
        debugger: stage.file("tool"),
        executable: stage.file("file"),
        core: stage.inner(false),
        arguments: Vec::new(),
    };
    Follow: |stage| Follow {
        program: stage.hold(match stage.denied() {
            // Of a program that was started as a debugger another thing was asked.
            Some(Action::FileOpen | Action::FileRead) => stage.session().call(&RunDebugger::request(stage)),
            _ => stage.session().call(&Execute::request(stage)),
        }),
    };
    DeleteFile: |stage| DeleteFile { file: stage.file("file") };
    DeleteDir: |stage| DeleteDir { dir: stage.dir("dir"), recursive: true };
    Uname: |_stage| Uname {};
    OnlineProcessors: |_stage| OnlineProcessors {};
    OpenTable: |_stage| OpenTable { table: Table::Memory };
    OpenSockets: |_stage| OpenSockets { table: SocketTable::Unix };
    ListSocketOwners: |_stage| ListSocketOwners { from: None };
    ListInterfaces: |_stage| ListInterfaces { skip: 0 };
    Trace: |stage| Trace { pid: stage.sleeper(), beside: Some(stage.sleeper()) };
    EnterNamespaces: |stage| EnterNamespaces { pid: stage.sleeper(), mount: true, net: true };
    Connect: |stage| Connect {
        host: Text::cut("127.0.0.1"),
        port: stage.serve_once(),
        transport: Transport::Tcp,
    };
    Resolve: |_stage| Resolve {
        host: Text::cut("localhost"),
        transport: Transport::Auto,
        server: None,
        timeout_seconds: 1,
    };
    Fetch: |stage| fetch(stage);
    StartUnit: |_stage| StartUnit { name: unit() };
    StopUnit: |_stage| StopUnit { name: unit() };
    RestartUnit: |_stage| RestartUnit { name: unit(), only_running: true };
    InspectUnit: |_stage| InspectUnit { name: unit() };
    StatMount: |stage| StatMount { path: stage.abs("new-mount") };
    ListOpenFiles: |_stage| ListOpenFiles { of: FilesOf::Process(std::process::id()), after: None };
    Signal: |stage| Signal {
        pid: stage.sleeper(),
        signal: match stage.denied() {
            Some(Action::ProcessInterrupt) => SignalKind::Hangup,
            _ => SignalKind::Terminate,
        },
        seen: None,
    };
    Unmount: |stage| Unmount { path: stage.abs("new-mount") };
}

impl Case for ListProcesses {
    fn request(_: &Stage) -> Self {
        ListProcesses { only: Some(vec![std::process::id()]), threads: false, namespaces: true, after: None }
    }

    fn is_whole(found: Processes, _: &Stage) -> bool {
        found.processes.first().is_some_and(|process| process.namespace.is_some())
    }
}

impl Case for Donate {
    /// It is a script that asks for it, in a run of its own.
    fn is_possible_in_a_dry_run(_: Option<Action>) -> bool {
        false
    }

    fn request(stage: &Stage) -> Self {
        Donate { file: stage.file("file") }
    }

    /// There is no way for it to a program: a script's worker asks for it instead.
    fn call(self, stage: &Stage) -> Called {
        let ran = stage.run(
            "let dir = DirConfig().path(\"ROOT\").build().open(OpenDirOptions().build());
             let packed = dir.open_file(\"packed\", OpenFileOptions().read(true).build());
             packed.read_gzip_lines(ReadLinesOptions().count(1).build())",
        );
        match ran.error_type() {
            "" if ran.output() == "[\"content\"]" => Called::Whole,
            "ACCESS_DENIED_EXCEPTION" => Called::Denied(ran.error().to_owned()),
            _ => Called::Failed(format!("{ran:?}")),
        }
    }
}

impl Case for Write {
    fn request(stage: &Stage) -> Self {
        let path = stage.path("new-file");
        std::fs::write(&path, "content").expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o4755)).expect("a mode");
        let file = stage.writable("new-file");
        // Its name is gone, so that it is made anew.
        std::fs::remove_file(path).expect("it is there");
        let placement = Placement::Atomic { preserve_ownership: true };
        Write { file, placement, content: content(), more: false }
    }

    fn is_whole(_: Written, stage: &Stage) -> bool {
        stage.has_set_id("new-file")
    }
}

impl Case for Truncate {
    fn request(stage: &Stage) -> Self {
        Truncate { file: stage.writable("file"), size: 3 }
    }

    fn is_whole((): (), stage: &Stage) -> bool {
        stage.has_set_id("file")
    }
}

impl Case for Allocate {
    fn request(stage: &Stage) -> Self {
        Allocate { file: stage.writable("file"), length: 100 }
    }

    fn is_whole((): (), stage: &Stage) -> bool {
        stage.has_set_id("file")
    }
}

impl Case for CopyFile {
    fn request(stage: &Stage) -> Self {
        CopyFile { from: stage.file("file"), to: stage.inner(true), force: true, preserve: false }
    }

    fn is_whole((): (), stage: &Stage) -> bool {
        stage.has_set_id("dir/inner")
    }
}

impl Case for StatEntries {
    fn request(stage: &Stage) -> Self {
        StatEntries { dir: stage.root(), entries: vec![listed()] }
    }

    fn is_whole(reply: Vec<Result<Metadata, Failure>>, stage: &Stage) -> bool {
        let denied = |failure: &Failure| match (&failure.kind, stage.denied()) {
            (FailureKind::Denied(Denial { action, .. }), Some(denied)) => **action == *denied.to_string(),
            _ => false,
        };
        match &reply[..] {
            [Ok(_)] => true,
            [Err(failure)] if denied(failure) => false,
            other => panic!("{other:?}"),
        }
    }
}

impl Case for ReadAttribute {
    fn request(stage: &Stage) -> Self {
        ReadAttribute { file: stage.file("file"), name: Text::cut(SELINUX) }
    }

    fn may_be_refused(errno: i32) -> bool {
        has_no_attribute(errno)
    }
}

impl Case for WriteAttribute {
    fn request(stage: &Stage) -> Self {
        let value = b"system_u:object_r:tmp_t:s0".to_vec().into();
        WriteAttribute { file: stage.writable("file"), name: Text::cut(SELINUX), value }
    }

    /// Most file systems that this runs on have none.
    fn is_quiet() -> bool {
        true
    }

    fn may_be_refused(errno: i32) -> bool {
        has_no_attribute(errno)
    }
}

impl Case for MoveFile {
    fn request(stage: &Stage) -> Self {
        MoveFile { file: stage.file("file"), to: stage.dir("elsewhere"), name: name("new") }
    }

    fn is_whole(_: OpenedFile, stage: &Stage) -> bool {
        stage.has_set_id("elsewhere/new")
    }
}

impl Case for MoveDir {
    fn request(stage: &Stage) -> Self {
        MoveDir { dir: stage.dir("dir"), from: stage.root(), to: stage.dir("elsewhere"), name: name("new") }
    }

    fn is_whole(_: OpenedDir, stage: &Stage) -> bool {
        stage.has_set_id("elsewhere/new/inner")
    }
}

impl Case for CommitFile {
    fn request(stage: &Stage) -> Self {
        CommitFile { draft: draft(stage), properties: properties(stage) }
    }

    fn is_whole((): (), stage: &Stage) -> bool {
        stage.has("later", 0o640)
    }
}

impl Case for PutDir {
    fn request(stage: &Stage) -> Self {
        PutDir { dir: stage.root(), way: way(&["dir"]), properties: properties(stage) }
    }

    fn is_whole((): (), stage: &Stage) -> bool {
        stage.has("dir", 0o640)
    }
}

fn properties(stage: &Stage) -> Properties {
    Properties { mode: Some(0o640), user: Some(stage.nobody()), ..Properties::default() }
}

/// A file that is to be called `later`, where another one is by now.
fn draft(stage: &Stage) -> Handle<rex_client::handle::Draft> {
    let request = BeginFile { dir: stage.root(), way: way(&["later"]) };
    let draft = stage.hold(stage.session().call(&request));
    std::fs::write(stage.path("later"), "").expect("a file");
    draft
}

fn way(names: &[&str]) -> Way {
    Way::try_from(names.iter().map(|text| name(text)).collect::<Vec<_>>()).expect("a way")
}

fn content() -> Chunk {
    Chunk::try_from(b"other content".to_vec()).expect("a chunk")
}

fn has_no_attribute(errno: i32) -> bool {
    matches!(errno, libc::ENODATA | libc::EOPNOTSUPP)
}

impl Case for ReadLog {
    fn request(_: &Stage) -> Self {
        ReadLog { log: None }
    }

    /// Containers have no log, or keep it from those inside.
    fn may_be_refused(errno: i32) -> bool {
        matches!(errno, libc::ENOENT | libc::ENODEV | libc::EPERM)
    }
}

impl Case for LoadSettings {
    /// The real program would change this machine: another one has its place.
    fn request(_: &Stage) -> Self {
        let program = std::path::Path::new(Self::PROGRAM);
        if program.exists() {
            rex_tests::put_in_place_of(program, "/usr/bin/true".as_ref());
        }
        LoadSettings {}
    }

    fn may_be_refused(errno: i32) -> bool {
        errno == libc::ENOENT
    }
}

/// A unit that no machine has.
fn unit() -> Text<UNIT_NAME> {
    Text::cut("rex-coverage-has-no-such.service")
}

impl Case for ReloadManager {
    /// Where there is a bus, it is not to be told anything.
    fn request(_: &Stage) -> Self {
        let bus = std::path::Path::new("/run/dbus/system_bus_socket");
        if bus.exists() {
            rex_tests::put_in_place_of(bus, "/dev/null".as_ref());
        }
        ReloadManager {}
    }
}

impl Case for FollowTask {
    fn request(stage: &Stage) -> Self {
        let session = stage.session();
        let task = match stage.denied() {
            Some(Action::UnitStop) => session.call(&StopUnit::request(stage)),
            Some(Action::UnitRestart) => session.call(&RestartUnit::request(stage)),
            Some(Action::UnitStatus) => session.call(&InspectUnit::request(stage)),
            Some(Action::ManagerReload) => session.call(&ReloadManager::request(stage)),
            _ => session.call(&StartUnit::request(stage)),
        };
        FollowTask { task: stage.hold(task) }
    }

    /// Most machines that this runs on have no service manager to ask.
    fn may_fail(kind: &FailureKind) -> bool {
        matches!(kind, FailureKind::NoBus | FailureKind::NoUnit)
    }
}

impl Case for EnterNetwork {
    fn request(stage: &Stage) -> Self {
        let name = name("new-network");
        stage.put_network(&std::path::Path::new(NETWORKS).join(name.as_os_str()));
        EnterNetwork { name }
    }
}

/// A request by the method that is denied, if one is.
fn fetch(stage: &Stage) -> Fetch {
    let all = [Method::Head, Method::Post, Method::Put, Method::Delete, Method::Patch, Method::Options];
    let method = all.into_iter().find(|method| stage.denied() == Some(method.action()));
    Fetch {
        method: method.unwrap_or(Method::Get),
        url: Text::cut(format!("http://127.0.0.1:{}/", stage.serve_once())),
        headers: Vec::new(),
        body: None,
        most: None,
        time_ms: None,
    }
}

impl Case for Narrow {
    fn request(_: &Stage) -> Self {
        Narrow { policy: Text::cut("@id(\"nothing\") forbid(principal, action, resource);") }
    }

    /// What it takes away is denied, in its name.
    fn is_whole(reply: Narrowed, stage: &Stage) -> bool {
        let denied = stage.session().call(&Uname {}).expect_err("it was given up");
        let by = denied.failure().map(|failure| &failure.kind);
        let named = matches!(by, Some(FailureKind::Denied(denial)) if denial.policies == [Text::cut("nothing")]);
        named && reply.warnings.is_empty()
    }
}

impl Case for OpenDir {
    fn request(stage: &Stage) -> Self {
        OpenDir { path: stage.abs("dir"), follow: false, create: Some(CreateDir { recursive: true }) }
    }

    fn is_quiet() -> bool {
        true
    }
}

impl Case for OpenFile {
    fn request(stage: &Stage) -> Self {
        OpenFile {
            dir: stage.root(),
            name: name("file"),
            read: true,
            write: true,
            create: Some(0o600),
            follow: false,
            write_next: true,
        }
    }

    fn is_quiet() -> bool {
        true
    }
}

impl Case for AddToFile {
    fn request(stage: &Stage) -> Self {
        AddToFile { draft: draft(stage), content: content() }
    }

    fn is_quiet() -> bool {
        true
    }
}

impl Case for ReadBody {
    fn request(stage: &Stage) -> Self {
        ReadBody {
            body: stage.hold(stage.session().call(&fetch(stage)).map(|fetched| fetched.body.expect("a body"))),
            offset: 0,
        }
    }

    /// What a request for a change would bring is not known, and so nothing is read of it.
    fn is_possible_in_a_dry_run(denied: Option<Action>) -> bool {
        matches!(denied, None | Some(Action::HttpGet | Action::HttpOptions))
    }
}
