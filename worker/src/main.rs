//! The worker's whole life: seal, warm up, say hello, receive one script, run it, end.

use rex_protocol::worker::EXIT_SEAL_FAILED;
use rex_worker::channel::Channel;
use rex_worker::engine::Interpreter;
use rex_worker::{run, seal, sys};
use std::rc::Rc;

#[global_allocator]
static MEMORY: sys::Memory = sys::Memory;

fn main() {
    sys::end_on_panic();
    sys::end_on_fault();
    sys::Memory::keep();
    if let Err(error) = seal::seal() {
        sys::say(&format!("rex-worker: {error}\n"));
        sys::exit(EXIT_SEAL_FAILED);
    }
    let channel = Rc::new(Channel::new(sys::session_socket()));
    let mut interpreter = Interpreter::new(&channel);
    channel.hello();
    let job = run::receive(&channel);
    let finished = run::run(&mut interpreter, &channel, &job);
    channel.finish(finished);
    sys::exit(0)
}
