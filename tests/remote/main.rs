//! Runs that come by SSH: `rex-exec --ssh` behind a real sshd.

mod claims;
mod commands;
mod server;
