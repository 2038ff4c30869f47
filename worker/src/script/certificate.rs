//! `verify_cert`, `verify_cert_chain`: whether certificates are good.

use super::file::File;
use super::{Surface, refuse};
use crate::error::{Error, Io, Result};
use crate::format::certificate;
use rex_protocol::failure::FailureKind;
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
    Ok(file.try_content().map_err(|failure| {
        let told = refuse::general(&failure, file.path());
        match failure.kind {
            FailureKind::Denied(_) | FailureKind::Limit(_) => told,
            _ => {
                let text = format!("Certificate parse error: Failed to read certificate file: {}", told.message());
                Error::because(&failure, Io::Other, text)
            }
        }
    })?)
}

fn files(array: Array) -> Result<Vec<File>> {
    array.into_iter().map(Dynamic::try_cast).collect::<Option<_>>().ok_or_else(|| {
        let (expected, found) = ("Array<RcFileHandle>", "Array with non-file-handle elements");
        EvalAltResult::ErrorMismatchDataType(expected.into(), found.into(), Position::NONE).into()
    })
}
