//! `Client`, `curl`, `connect`, `resolve`: what scripts ask of other hosts.

mod client;
mod connect;
mod resolve;

pub(super) use client::{curl, error_of};
pub(super) use resolve::{ResolveOptions, resolve};

use super::Surface;

/// Registers all of it.
pub(super) fn register(surface: &mut Surface) {
    client::register(surface);
    connect::register(surface);
    resolve::register(surface);
}
