//! Speaks HTTP, TLS and DNS for a session, and can do nothing else: it is sealed as a worker is, and has no way to the network
//! but the connections that its session makes and hands over, each with the request that it is for.
//!
//! One process serves one request: what a server does to it touches no other.

mod channel;
mod http;
mod names;
mod query;
mod stream;
mod syscalls;
mod url;

use channel::Channel;
use rex_protocol::net::{FromNet, ToNet};
use rex_protocol::worker::EXIT_SEAL_FAILED;
use rex_worker::{seal, sys};

#[global_allocator]
static MEMORY: sys::Memory = sys::Memory;

fn main() {
    sys::end_on_panic();
    sys::end_on_fault();
    if let Err(error) = seal::seal_with(syscalls::ALLOWED) {
        sys::say(&format!("rex-net: {error}\n"));
        sys::exit(EXIT_SEAL_FAILED);
    }
    let channel = Channel::new();
    channel.hello();
    loop {
        let (request, connection) = channel.hear();
        match (request, connection) {
            (ToNet::Parse { base, url }, None) => channel.tell(&url::parse(base.as_deref(), &url)),
            (ToNet::Plan { host, hosts, configuration }, None) => {
                channel.tell(&FromNet::Plan(names::plan(&host, &hosts, &configuration)));
            }
            (ToNet::Ask { name, stream }, Some(connection)) => {
                channel.tell(&FromNet::Answer(query::ask(&name, &connection, stream)));
            }
            (ToNet::Request(request), Some(connection)) => {
                let roots = (0..request.roots).flat_map(|_| channel.hear_part().into_bytes()).collect();
                http::exchange(&channel, *request, connection, roots);
            }
            _ => sys::exit(sys::EXIT_SESSION_LOST),
        }
    }
}
