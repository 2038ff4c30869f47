//! A hostile worker: sealed by the very code that seals the real one, and from then on an attacker's.
//!
//! The broker is told to use it as its worker. Its "script" is the name of one attack. It answers with what the
//! attack gave, if it lives to do so.

mod native;
mod wire;

use rex_protocol::VERSION;
use rex_protocol::wire::{decode, encode};
use rex_protocol::worker::{Finished, FromWorker, ToWorker};

/// The socket of a worker.
pub(crate) const SOCKET: i32 = 3;

fn main() {
    // A probe that is not sealed must never be given a script; one attack needs that.
    if std::env::current_exe().is_ok_and(|path| path.ends_with("rex-probe-unsealed")) {
        // fall through without sealing
    } else if rex_worker::seal::seal().is_err() {
        std::process::exit(rex_protocol::worker::EXIT_SEAL_FAILED);
    }
    send(&FromWorker::Hello { version: VERSION });
    let attack = receive_script();
    if let Some((_, act)) = wire::ATTACKS.iter().find(|(name, _)| *name == attack) {
        act();
        // Whatever the session thinks of it: a probe that is still here waits to be ended.
        loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }
    if attack.contains("donated") {
        native::DONATED.store(wire::obtain_donation("/etc/passwd"), std::sync::atomic::Ordering::Relaxed);
    }
    if let Some(path) = attack.strip_prefix("donated ") {
        let said: &[u8] = if wire::obtain_donation(path) >= 0 { b"donated" } else { b"not donated" };
        send(&FromWorker::Output(said));
        send(&FromWorker::Finished(Finished::Succeeded));
        return;
    }
    let said = match native::ATTACKS.iter().find(|(name, _)| *name == attack) {
        Some((_, act)) => match act() {
            -1 => format!("refused: {}", std::io::Error::last_os_error()),
            value => format!("returned {value}"),
        },
        None => format!("no attack is called `{attack}`"),
    };
    send(&FromWorker::Output(said.as_bytes()));
    send(&FromWorker::Finished(Finished::Succeeded));
}

/// Sends one honest packet.
pub(crate) fn send(message: &FromWorker<'_>) {
    if let Ok(packet) = encode(message) {
        send_bytes(&packet);
    }
}

/// Sends one packet of any content.
pub(crate) fn send_bytes(packet: &[u8]) -> isize {
    // SAFETY: the buffer is valid for its length.
    unsafe { libc::send(SOCKET, packet.as_ptr().cast(), packet.len(), libc::MSG_NOSIGNAL) }
}

/// Receives one packet.
pub(crate) fn receive() -> Option<Vec<u8>> {
    receive_with_descriptor().map(|(packet, _)| packet)
}

/// Receives one packet, and the descriptor that comes with it; -1 if none does.
pub(crate) fn receive_with_descriptor() -> Option<(Vec<u8>, i32)> {
    let mut packet = vec![0u8; rex_protocol::wire::PACKET];
    let mut piece = libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: packet.len() };
    let mut control = [0u64; 8];
    // SAFETY: a `msghdr` of zeroes is valid; the buffers outlive the call.
    let (length, descriptor) = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        let length = libc::recvmsg(SOCKET, &raw mut message, 0);
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (length, if header.is_null() { -1 } else { libc::CMSG_DATA(header).cast::<i32>().read() })
    };
    packet.truncate(usize::try_from(length).ok().filter(|&length| length > 0)?);
    Some((packet, descriptor))
}

fn receive_script() -> String {
    let mut script = Vec::new();
    let mut wanted = None;
    while wanted != Some(script.len()) {
        match receive().and_then(|packet| decode::<ToWorker>(&packet).ok()) {
            Some(ToWorker::Run(run)) => wanted = usize::try_from(run.script).ok(),
            Some(ToWorker::Part(part)) => script.extend_from_slice(&part),
            _ => std::process::exit(1),
        }
    }
    String::from_utf8_lossy(&script).trim().to_owned()
}
