//! `unmount`.

use super::refused;
use crate::channel::Channel;
use crate::error::{Diskinfo, Error, Result, errno_text};
use crate::script::Surface;
use crate::script::options::{self, Options};
use crate::text::path;
use rex_protocol::system::Unmount;
use serde::Deserialize;
use std::rc::Rc;

#[derive(Debug, Clone, Deserialize)]
struct UnmountOptions {
    path: String,
}

impl Options for UnmountOptions {
    const NAME: &'static str = "UnmountOptions";

    fn missing(field: &str) -> String {
        format!("`{field}` must be initialized")
    }
}

fn unmount(channel: &Rc<Channel>, given: &str) -> Result<()> {
    let path = path::absolute(given).map_err(|error| Error::new(Diskinfo::Other, error.message()))?;
    let request = Unmount { path };
    Ok(channel.call(&request).map_err(|failure| match failure.errno() {
        Some(errno) => {
            let message = format!("Failed to unmount {given}: {}", errno_text(errno));
            Error::because(&failure, Diskinfo::Other, message)
        }
        None => refused(&failure, &request.path, Diskinfo::PermissionDenied, Diskinfo::Other),
    })?)
}

/// Registers the function and its options.
pub(super) fn register(surface: &mut Surface) {
    options::register::<UnmountOptions>(surface);
    let channel = surface.channel();
    surface.function("unmount", move |options: UnmountOptions| unmount(&channel, &options.path));
}
