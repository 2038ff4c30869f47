//! How many instructions Rex takes, counted by valgrind's callgrind: a figure that does not depend on how busy the machine is, and
//! so can be held to a bound, `bounds.toml` beside this file. The kernel's part is not in it.
//!
//!     cargo build --workspace --bins --examples && target/debug/examples/counts

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod bounds;
mod callgrind;
mod subjects;

use bounds::Bounds;
use std::process::ExitCode;

fn main() -> ExitCode {
    // This program, counted.
    if let Some((task, policies)) = subjects::wanted() {
        subjects::run(&task, &policies);
        return ExitCode::SUCCESS;
    }
    let mut within = true;
    for count in subjects::all() {
        match count {
            Err(why) => {
                println!("cannot be counted: {why}");
                within = false;
            }
            Ok((name, count)) => within &= Bounds::read().holds(name, count),
        }
    }
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
