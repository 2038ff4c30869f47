//! Runs that come by SSH: `rex-exec --ssh` behind a real sshd.

mod ansible;
mod claims;
mod commands;
mod server;
