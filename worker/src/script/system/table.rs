//! Reading the kernel's tables.

use crate::channel::{Channel, Held};
use crate::error::{Error, Kind};
use rex_protocol::fs::{OpenedFile, Read};
use rex_protocol::path::AbsPath;
use rex_protocol::system::{OpenSockets, OpenTable, SocketTable, Table};
use rex_protocol::text::CHUNK;
use rex_protocol::{Failure, Listed};
use std::rc::Rc;

/// The whole of a table; an error is of the kind `denied` where policy says no, else `other`.
pub(super) fn bytes(
    channel: &Rc<Channel>,
    table: Table,
    denied: impl Into<Kind>,
    other: impl Into<Kind>,
) -> Result<Vec<u8>, Error> {
    read(channel, &OpenTable { table }).map_err(|failure| {
        let path = AbsPath::parse(table.path()).unwrap_or_else(|_| AbsPath::root());
        super::refused(&failure, &path, denied, other)
    })
}

/// The whole of a table of sockets; nothing where the kernel has none.
pub(super) fn sockets(channel: &Rc<Channel>, table: SocketTable) -> Result<Vec<u8>, Failure> {
    match read(channel, &OpenSockets { table }) {
        Err(failure) if failure.errno() == Some(libc::ENOENT) => Ok(Vec::new()),
        read => read,
    }
}

fn read<O: Listed<Reply = OpenedFile>>(channel: &Rc<Channel>, open: &O) -> Result<Vec<u8>, Failure> {
    let opened = Held::new(channel, channel.call(open)?.file);
    let mut bytes = Vec::new();
    loop {
        let request = Read { file: opened.handle(), offset: bytes.len() as u64, length: CHUNK as u32 };
        // A kernel's table may give less than was asked for before its end.
        match channel.call(&request)? {
            piece if piece.is_empty() => return Ok(bytes),
            piece => bytes.extend_from_slice(&piece),
        }
    }
}
