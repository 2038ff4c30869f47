//! The client library: scripts that are run and operations that are performed by a Rust program.

mod operations;
mod scripts;
mod sessions;
