//! Attacks on the conversation with the session.

use super::{SOCKET, receive, receive_with_descriptor, send, send_bytes};
use rex_protocol::fs::{Donate, ListDir, OpenDir, OpenFile, OpenedDir, OpenedFile, Read};
use rex_protocol::handle::{Dir, File};
use rex_protocol::path::{AbsPath, Name};
use rex_protocol::run::{NARROWING, Narrow, Narrowed};
use rex_protocol::text::Text;
use rex_protocol::wire::{PACKET, decode, encode};
use rex_protocol::worker::{Alarm, FaultClass, Finished, FromWorker, Level, Log, ScriptFault, ToWorker};
use rex_protocol::{Handle, Operation, VERSION};

/// Name and act. Each should end the run, except where the name says that it claims something.
pub(crate) const ATTACKS: &[(&str, fn())] = &[
    ("wire: noise", || _ = send_bytes(&[0xff; 64])),
    ("wire: an empty packet", || _ = send_bytes(&[])),
    ("wire: one byte", || _ = send_bytes(&[1])),
    ("wire: truncated", || {
        let packet = request("fs.read", &[0; 16]);
        send_bytes(&packet[..packet.len() - 3]);
    }),
    ("wire: trailing", || _ = send_bytes(&[request("fs.read", &[0; 16]).as_slice(), b"x"].concat())),
    ("wire: oversize", || _ = send_bytes(&vec![0; PACKET + 1])),
    ("wire: a length that lies", || {
        _ = send_bytes(&[1, 0, 7, b'f', b's', 0xfd, 255, 255, 255, 255, 255, 255, 255, 15])
    }),
    ("wire: unknown operation", || _ = send_bytes(&request("fs.format_disk", &[]))),
    ("wire: a body that is no request", || _ = send_bytes(&request("fs.open_dir", &[9; 40]))),
    ("wire: a path that is not canonical", || {
        send_bytes(&request("fs.open_dir", &with_path(b"/etc/../etc")));
    }),
    ("wire: a relative path", || _ = send_bytes(&request("fs.open_dir", &with_path(b"etc")))),
    ("wire: a path with a NUL", || _ = send_bytes(&request("fs.open_dir", &with_path(b"/etc\0/x")))),
    ("wire: a path that is too long", || {
        send_bytes(&request("fs.open_dir", &with_path("/aaaaaaa".repeat(1000).as_bytes())));
    }),
    ("wire: a forged handle", || {
        send_bytes(&operation(&Read { file: Handle::<File>::from_id(7), offset: 0, length: 9 }));
    }),
    ("wire: a handle of another kind", || {
        let dir = open_root();
        send_bytes(&operation(&Read { file: Handle::<File>::from_id(dir), offset: 0, length: 9 }));
    }),
    ("wire: a stale handle", || {
        let dir = open_root();
        let list = ListDir { dir: Handle::<Dir>::from_id(dir), listing: None };
        send_bytes(
            &encode(&FromWorker::Request { closed: vec![dir], name: ListDir::NAME, body: &body(&list) }).unwrap(),
        );
    }),
    ("wire: closes what is not open", || {
        send_bytes(&encode(&FromWorker::Request { closed: vec![99], name: "fs.read", body: &[] }).unwrap());
    }),
    ("wire: does not wait for an answer", || {
        let packet = operation(&open_dir());
        for _ in 0..3 {
            send_bytes(&packet);
        }
    }),
    ("wire: says hello again", || send(&FromWorker::Hello { version: VERSION })),
    ("wire: an overlong log message", || {
        let mut packet = encode(&FromWorker::Log(log("x"))).unwrap();
        packet.splice(2..4, [0xfb, 0, 16].into_iter().chain([b'x'; 4096]));
        send_bytes(&packet);
    }),
    ("wire: sends its socket", send_descriptor),
    ("wire: closes its socket", || {
        // SAFETY: nothing uses it any more.
        unsafe { libc::close(SOCKET) };
    }),
    ("wire: floods the log", || {
        let message = log(&"x".repeat(1000));
        while send_bytes(&encode(&FromWorker::Log(message.clone())).unwrap()) > 0 {}
    }),
    ("wire: floods alarms", || {
        let alarm = FromWorker::Alarm(Alarm { kind: Text::cut("a"), details: Some(Text::cut("y".repeat(60_000))) });
        let packet = encode(&alarm).unwrap();
        while send_bytes(&packet) > 0 {}
    }),
    ("wire: floods output", || {
        let packet = encode(&FromWorker::Output(&[b'z'; 100_000])).unwrap();
        while send_bytes(&packet) > 0 {}
    }),
    ("wire: never reads its answers", || {
        let packet = operation(&open_dir());
        for _ in 0..100_000 {
            if send_bytes(&packet) < 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    }),
    ("wire: holds what was donated", || _ = obtain_donation("/etc/passwd")),
    ("wire: silence", || {}),
    ("wire: keeps everything open", || {
        loop {
            let _ = open_root();
        }
    }),
    ("wire: claims a denial", || {
        let fault = ScriptFault { class: FaultClass::Denied, message: Text::cut("Permission denied: made up") };
        send(&FromWorker::Finished(Finished::Failed(fault)));
    }),
    ("narrowing: takes it back", take_back),
    ("narrowing: too long", || _ = send_bytes(&with_policy(&" ".repeat(NARROWING + 1)))),
    ("wire: speaks after its end", || {
        send(&FromWorker::Output(b"done"));
        send(&FromWorker::Finished(Finished::Succeeded));
        send(&FromWorker::Output(b"and more"));
        send_bytes(&operation(&open_dir()));
    }),
];

/// Gives up everything, and then tries each way back. Says what came of each attempt, and of opening `/` after it.
fn take_back() {
    let policy = |text: &str| Narrow { policy: Text::cut(text) };
    let all = "@id(\"nothing\") permit(principal, action, resource);";
    let narrow = |text: &str| match ask::<_, Narrowed>(&policy(text)) {
        Some(_) => "narrowed",
        None => "refused",
    };
    let open = || match ask::<_, OpenedDir>(&open_dir()) {
        Some(_) => "open",
        None => "denied",
    };
    let mut said = vec![open(), narrow("@id(\"nothing\") forbid(principal, action, resource);"), open()];
    said.extend([narrow(all), open(), narrow("permit(principal"), open()]);
    let more = (0..14).filter(|_| narrow(all) == "narrowed").count();
    let more = format!("{more} narrowed");
    said.extend([more.as_str(), narrow(all), open()]);
    send(&FromWorker::Output(said.join(", ").as_bytes()));
    send(&FromWorker::Finished(Finished::Succeeded));
}

/// A `Narrow` whose text never went through `Text`.
fn with_policy(text: &str) -> Vec<u8> {
    request(Narrow::NAME, &encode(&text).unwrap())
}

fn request(name: &str, body: &[u8]) -> Vec<u8> {
    encode(&FromWorker::Request { closed: Vec::new(), name, body }).unwrap()
}

fn operation<O: Operation>(operation: &O) -> Vec<u8> {
    request(O::NAME, &body(operation))
}

fn body<O: Operation>(operation: &O) -> Vec<u8> {
    encode(operation).unwrap()
}

fn open_dir() -> OpenDir {
    OpenDir { path: AbsPath::root(), follow: false, create: None }
}

/// An `OpenDir` whose path never went through `AbsPath`.
fn with_path(path: &[u8]) -> Vec<u8> {
    let mut bytes = encode(&serde_bytes::Bytes::new(path)).unwrap();
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

/// Opens `/`, which the policy of these tests allows.
fn open_root() -> u64 {
    send_bytes(&operation(&open_dir()));
    match receive().and_then(|packet| decode::<ToWorker>(&packet).ok()) {
        Some(ToWorker::Reply(Ok(reply))) => {
            decode::<rex_protocol::fs::OpenedDir>(&reply).map(|opened| opened.dir.id()).unwrap_or(0)
        }
        Some(ToWorker::Reply(Err(failure))) => {
            let fault = ScriptFault { class: FaultClass::Script, message: Text::cut(failure.to_string()) };
            let limit = rex_protocol::failure::FailureKind::Limit(rex_protocol::limits::LimitName::Handles);
            let class = if failure.kind == limit {
                FaultClass::Limit(rex_protocol::limits::LimitName::Handles)
            } else {
                fault.class
            };
            send(&FromWorker::Finished(Finished::Failed(ScriptFault { class, ..fault })));
            loop {
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
        }
        _ => 0,
    }
}

/// Has the session donate a file, which the policy of these tests allows; -1 if it does not.
pub(crate) fn obtain_donation(path: &str) -> i32 {
    let (dir, name) = path.rsplit_once('/').unwrap();
    let dir: Option<OpenedDir> =
        ask(&OpenDir { path: AbsPath::parse(dir).unwrap(), follow: false, create: None }).map(|(dir, _)| dir);
    let Some(dir) = dir else { return -1 };
    let open = OpenFile {
        dir: dir.dir,
        name: Name::parse(name).unwrap(),
        read: true,
        write: false,
        create: None,
        follow: false,
        write_next: false,
    };
    let Some((file, _)) = ask::<_, OpenedFile>(&open) else { return -1 };
    ask::<_, rex_protocol::fs::Donated>(&Donate { file: file.file }).map_or(-1, |(_, descriptor)| descriptor)
}

fn ask<O: Operation, R: serde::de::DeserializeOwned>(request: &O) -> Option<(R, i32)> {
    send_bytes(&operation(request));
    let (packet, descriptor) = receive_with_descriptor()?;
    match decode::<ToWorker>(&packet).ok()? {
        ToWorker::Reply(Ok(reply)) => Some((decode(&reply).ok()?, descriptor)),
        _ => None,
    }
}

fn log(message: &str) -> Log {
    Log { level: Level::Info, message: Text::cut(message), line: 1, function: None }
}

/// Attaches its own socket to a packet, which a session must neither take nor keep.
fn send_descriptor() {
    let packet = operation(&OpenFile {
        dir: Handle::from_id(1),
        name: Name::parse("x").unwrap(),
        read: true,
        write: false,
        create: None,
        follow: false,
        write_next: false,
    });
    let mut piece = libc::iovec { iov_base: packet.as_ptr().cast_mut().cast(), iov_len: packet.len() };
    let mut control = [0u64; 4];
    // SAFETY: a `msghdr` of zeroes is valid; the buffers outlive the call.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(header).cast::<i32>().write(SOCKET);
        libc::sendmsg(SOCKET, &raw const message, libc::MSG_NOSIGNAL);
    }
}
