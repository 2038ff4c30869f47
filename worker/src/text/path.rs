//! Paths as scripts write them.

use crate::error::{Error, Io, errno_text};
use rex_protocol::path::{AbsPath, Name, PathError};
use std::ffi::OsStr;
use std::path::Path;

/// A file as commands take it: the directory that holds it and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The directory.
    pub dir: AbsPath,
    /// The name in it.
    pub name: Name,
}

/// What is said of a name that leads out of the directory it is looked up in.
pub const OUTSIDE: &str = "a path led outside of the filesystem";

/// A path that is to be opened as such.
pub fn absolute(path: &str) -> Result<AbsPath, Error> {
    characters(path)?;
    rooted(path)?;
    parse(path)
}

/// Directory and name of a command's path. `kind` names it in the error where there is no name: `Invalid KIND path`.
pub fn place(path: &str, kind: &str) -> Result<Place, Error> {
    characters(path)?;
    let none = || Error::new(Io::InvalidArguments, format!("Invalid arguments: Invalid {kind} path: {path}"));
    let name = Path::new(path).file_name().ok_or_else(none)?;
    rooted(directory(path))?;
    let name = Name::parse(name.as_encoded_bytes()).map_err(refused)?;
    let dir = parse(directory(path))?;
    // The whole must not be too long either.
    dir.join(&name).map_err(refused)?;
    Ok(Place { dir, name })
}

/// A command's path that may be a directory or `/`, checked as [`place`] does.
pub fn entry(path: &str) -> Result<AbsPath, Error> {
    if Path::new(path).has_root() && Path::new(path).parent().is_none() {
        absolute(path)
    } else {
        let place = place(path, "file")?;
        place.dir.join(&place.name).map_err(refused)
    }
}

/// A name in the open directory `dir`, as methods of a directory take it.
pub fn name_in(dir: &AbsPath, name: &str) -> Result<Name, Error> {
    let path = if dir.is_root() { format!("/{name}") } else { format!("{dir}/{name}") };
    characters(&path)?;
    if name.split('/').any(|component| component == "..") {
        return Err(other(format!("Path traversal detected {path}")));
    }
    match name {
        "" => Err(refusal(libc::ENOENT)),
        "." => Err(Error::new(Io::ValidationError, "Validation error: argument is not a file")),
        _ => Name::parse(name.as_bytes()).map_err(|error| match error {
            PathError::NoName => Error::new(Io::InvalidPath, "Invalid path: file path must contain only a filename"),
            error => refused(error),
        }),
    }
}

/// Whether a path or name has characters that scripts cannot name anything by.
pub fn has_odd_characters(path: &str) -> bool {
    path.contains(|c: char| c < ' ' || matches!(c, '<' | '>' | '"' | '|' | '?' | '*'))
}

/// The path of an entry that was listed in `dir`, where a script could write it: names that are no UTF-8, or hold a character
/// that no path may have, can be listed and nothing else.
pub fn listed(dir: &AbsPath, name: &Name) -> Result<AbsPath, Error> {
    let path = dir.join(name).map_err(refused)?;
    match std::str::from_utf8(name.as_bytes()) {
        Ok(text) => characters(text).map_err(|_| invalid_characters(&path.to_string()))?,
        Err(_) => return Err(refusal(libc::ENOENT)),
    }
    Ok(path)
}

fn directory(path: &str) -> &str {
    Path::new(path).parent().and_then(Path::to_str).unwrap_or_default()
}

fn characters(path: &str) -> Result<(), Error> {
    if has_odd_characters(path) { Err(invalid_characters(path)) } else { Ok(()) }
}

fn invalid_characters(path: &str) -> Error {
    other(format!("Path contains invalid characters {path}"))
}

fn rooted(path: &str) -> Result<(), Error> {
    if !path.starts_with('/') {
        return Err(other(format!("Path is not absolute {path}")));
    }
    if Path::new(path).components().any(|component| component.as_os_str() == OsStr::new("..")) {
        return Err(other(format!("Path traversal detected {path}")));
    }
    Ok(())
}

fn parse(path: &str) -> Result<AbsPath, Error> {
    AbsPath::parse(path).map_err(refused)
}

/// What is left after the checks above is what the kernel would say.
fn refused(error: PathError) -> Error {
    match error {
        PathError::TooLong => refusal(libc::ENAMETOOLONG),
        error => other(error.to_string()),
    }
}

fn refusal(errno: i32) -> Error {
    Error::new(Io::IoError, errno_text(errno))
}

fn other(message: String) -> Error {
    Error::new(Io::Other, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(path: &str) -> String {
        match place(path, "file") {
            Ok(place) => format!("{} {}", place.dir, place.name.to_text()),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn a_place_is_a_directory_and_a_name() {
        for (path, expected) in [
            ("/a/f", "/a f"),
            ("/f", "/ f"),
            ("/a/f/", "/a f"),
            ("/a//b/./f/.", "/a/b f"),
            ("", "Invalid arguments: Invalid file path: "),
            ("/", "Invalid arguments: Invalid file path: /"),
            ("/a/..", "Invalid arguments: Invalid file path: /a/.."),
            ("f", "Path is not absolute "),
            ("a/f", "Path is not absolute a"),
            ("/a/../f", "Path traversal detected /a/.."),
            ("/a*/../f", "Path contains invalid characters /a*/../f"),
            ("a?", "Path contains invalid characters a?"),
        ] {
            assert_eq!(placed(path), expected, "{path}");
        }
    }

    #[test]
    fn names_are_bare() {
        let message = |name| {
            name_in(&AbsPath::parse("/d").unwrap(), name).map_or_else(|e| e.message().to_owned(), |n| n.to_text())
        };
        for (name, expected) in [
            ("f", "f"),
            ("a/b", "Invalid path: file path must contain only a filename"),
            ("../f", "Path traversal detected /d/../f"),
            ("a?", "Path contains invalid characters /d/a?"),
            ("", "No such file or directory (os error 2)"),
        ] {
            assert_eq!(message(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_listed_can_be_used_where_a_script_could_write_it() {
        let message = |name: &[u8]| {
            let listed = listed(&AbsPath::parse("/d").unwrap(), &Name::parse(name).unwrap());
            listed.map_or_else(|error| error.message().to_owned(), |path| path.to_string())
        };
        assert_eq!(message("é b".as_bytes()), "/d/é b");
        assert_eq!(message(b"a?"), "Path contains invalid characters /d/a?");
        assert_eq!(message(b"a\n"), "Path contains invalid characters /d/a\n");
        assert_eq!(message(b"a\xff"), "No such file or directory (os error 2)");
    }

    #[test]
    fn a_path_is_checked_in_order() {
        let message = |path| absolute(path).map_or_else(|e| e.message().to_owned(), |p| p.to_string());
        for (path, expected) in [
            ("/a//b/./c/", "/a/b/c"),
            ("a/../b?", "Path contains invalid characters a/../b?"),
            ("a/../b", "Path is not absolute a/../b"),
            ("/a/../b", "Path traversal detected /a/../b"),
            ("", "Path is not absolute "),
        ] {
            assert_eq!(message(path), expected, "{path}");
        }
    }
}
