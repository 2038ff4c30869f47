//! The same work in one process, to compare with: an interpreter, policies and the file system, and nothing between them.
//!
//! It is what one would write first: the schema is parsed from its text and the policies are validated against it, the engine
//! has all functions of the language, and each operation is asked of all policies. It is not made slow on purpose, and holds
//! nothing back that a script could do with the rights of its process. For benches only.
//!
//!     one-process --script-file FILE --policy-file FILE

mod api;
mod policy;

use policy::Policy;
use rhai::{Dynamic, Engine};
use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;

fn main() -> ExitCode {
    match run() {
        Ok(output) => say(&output, std::io::stdout()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
        Err(error) => {
            let _ = say(&format!("error: {error}"), std::io::stderr());
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, Box<dyn Error>> {
    let script = std::fs::read_to_string(argument("--script-file")?)?;
    let policy = Rc::new(Policy::load(&std::fs::read_to_string(argument("--policy-file")?)?)?);
    let mut engine = Engine::new();
    api::register(&mut engine, &policy);
    let value: Dynamic = engine.eval(&script).map_err(|error| error.to_string())?;
    Ok(if value.is_unit() { String::new() } else { value.to_string() })
}

fn argument(name: &str) -> Result<String, Box<dyn Error>> {
    let found = std::env::args().skip_while(|argument| argument != name).nth(1);
    found.ok_or_else(|| format!("`{name}` is missing").into())
}

fn say(text: &str, mut stream: impl std::io::Write) -> std::io::Result<()> {
    if text.is_empty() { Ok(()) } else { writeln!(stream, "{text}") }
}
