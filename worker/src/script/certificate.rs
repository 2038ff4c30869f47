//! `verify_cert`, `verify_cert_chain`: whether certificates are good.

use super::file::File;
use super::{Surface, refuse};
use crate::error::{Error, Io, Result};
use crate::format::certificate;
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::Read;
use rex_protocol::text::CHUNK;
use rhai::{Array, Dynamic, EvalAltResult, Position};
use std::time::SystemTime;

/// Registers the functions. They ask `read` on each file, as all do that see content.
pub fn register(surface: &mut Surface) {
    surface.function("verify_cert", |server: File, root: File| verify(&server, &root, &[]));
    surface.function("verify_cert_chain", |server: File, root: File, intermediates: Array| {
        verify(&server, &root, &files(intermediates)?)
    });
}

fn verify(server: &File, root: &File, intermediates: &[File]) -> Result<()> {
    let (server, root) = (content(server)?, content(root)?);
    let intermediates = intermediates.iter().map(content).collect::<Result<Vec<_>>>()?;
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let verified = certificate::verify(&server, &root, &intermediates, now);
    Ok(verified.map_err(|fault| Error::new(Io::Other, fault.to_string()))?)
}

fn content(file: &File) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let request = Read { file: file.handle(), offset: content.len() as u64, length: CHUNK as u32 };
        let piece = file.channel().call(&request).map_err(|failure| unreadable(&failure, file))?;
        if piece.is_empty() {
            return Ok(content);
        }
        content.extend_from_slice(&piece);
    }
}

/// What is told of a file that cannot be read. That it may not be is told as ever.
fn unreadable(failure: &Failure, file: &File) -> Error {
    let told = refuse::general(failure, file.path());
    if matches!(failure.kind, FailureKind::Denied(_) | FailureKind::Limit(_)) {
        return told;
    }
    let text = format!("Certificate parse error: Failed to read certificate file: {}", told.message());
    Error::because(failure, Io::Other, text)
}

fn files(array: Array) -> Result<Vec<File>> {
    array.into_iter().map(Dynamic::try_cast).collect::<Option<_>>().ok_or_else(|| {
        let (expected, found) = ("Array<RcFileHandle>", "Array with non-file-handle elements");
        EvalAltResult::ErrorMismatchDataType(expected.into(), found.into(), Position::NONE).into()
    })
}
