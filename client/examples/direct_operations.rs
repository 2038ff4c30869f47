//! Performs operations on a folder, without a script: what policy does not allow does not happen.
//!
//!     cargo run -p rex-client --example direct_operations -- FOLDER

use rex_client::fs::{MakeDir, Object, OpenSubdir, SetMode};
use rex_client::{AbsPath, Broker, CallError, Name, Policy, Session, Terms};
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("the path of a folder is needed")?;
    // Narrows what the daemon's policies allow us to this folder, and to what we mean to do.
    let policy = format!(
        "permit(
            principal,
            action in [
                file_system::Action::\"open\", file_system::Action::\"create\", file_system::Action::\"read\",
                file_system::Action::\"write\", file_system::Action::\"stat\", file_system::Action::\"chmod\"
            ],
            resource in file_system::Dir::{folder:?}
        );"
    );
    let terms = Terms::new().policy(Policy::new("folder", policy)).time_limit(Duration::from_secs(30));
    let session = Broker::connect()?.operate(terms)?;

    // The conveniences do what one mostly wants.
    session.write_file(format!("{folder}/notes.txt"), "checked\n")?;
    let mut out = io::stdout().lock();
    for entry in session.list_dir(&folder)? {
        let path = format!("{folder}/{}", entry.name.to_text());
        writeln!(out, "{:>10} {path}", session.stat(&path)?.size)?;
    }

    // Everything else is one operation, or a few.
    let private = make_private(&session, &folder, "private");
    writeln!(out, "{folder}/private: {}", private.map_or_else(|error| error.to_string(), |()| "made".into()))?;

    match session.read_file("/etc/shadow") {
        Err(error) if error.is_denial() => writeln!(out, "as it should be: {error}")?,
        Err(error) => writeln!(out, "{error}")?,
        Ok(_) => return Err("the policy above does not allow this".into()),
    }
    let outcome = session.end()?;
    writeln!(out, "{} operations", outcome.usage.operations)?;
    Ok(())
}

/// Makes a directory that only its owner may enter.
fn make_private(session: &Session, folder: &str, name: &str) -> Result<(), Box<dyn Error>> {
    let name = Name::parse(name)?;
    session.call(&MakeDir { path: AbsPath::parse(folder)?.join(&name)?, parents: false })?;
    let parent = session.open_dir(folder)?;
    let opened = session.call(&OpenSubdir { dir: parent.handle(), name, follow: false })?;
    // Closed again when this goes, as `parent` is.
    let dir = session.hold(opened.dir);
    session.call(&SetMode { object: Object::Dir(dir.handle()), mode: 0o700 }).map_err(|error| match error {
        CallError::Failed(failure) => failure.into(),
        other => Box::<dyn Error>::from(other),
    })
}
