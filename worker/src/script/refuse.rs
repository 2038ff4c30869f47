//! What scripts are told when the session does not do what was asked.

use super::kinds::EntryType;
use crate::error::{Error, Io, errno_text};
use rex_protocol::Failure;
use rex_protocol::failure::{Denial, FailureKind};
use rex_protocol::fs::{REDACTION_DICTIONARY, SELINUX};
use rex_protocol::path::AbsPath;

/// The general form. `path` is what the operation was about.
pub(crate) fn general(failure: &Failure, path: &AbsPath) -> Error {
    let message = &*failure.message;
    let (kind, text) = match &failure.kind {
        FailureKind::Denied(_) => (Io::PermissionDenied, message.to_owned()),
        FailureKind::Refused { errno } => (Io::IoError, errno_text(*errno)),
        FailureKind::ParentRefused { errno } => {
            let parent = path.split().map_or_else(AbsPath::root, |(parent, _)| parent);
            let text = format!("Directory error: failed to open parent: {parent}: {}", errno_text(*errno));
            (Io::DirectoryOpenError, text)
        }
        FailureKind::LinkNotFollowed => {
            let text = format!("File error: file is a symbolic link but follow_symlinks is not enabled: {path}");
            (Io::FileError, text)
        }
        FailureKind::NotRegularFile => (Io::ValidationError, "Validation error: argument is not a file".to_owned()),
        FailureKind::DirectoryNotEmpty => (
            Io::DirectoryNotEmpty,
            format!(
                "Directory not empty: A path led to a non-empty directory location. To include contents of this \
                 directory, use the recursive flag: {path}"
            ),
        ),
        FailureKind::NotOpenForReading => (Io::InvalidFileMode, mode("read", path)),
        FailureKind::NotOpenForWriting => (Io::InvalidFileMode, mode("write", path)),
        FailureKind::Gone => (Io::NotFound, format!("No such file or directory found: {path}")),
        FailureKind::UnknownIdentity { id, group } => (Io::IdentityResolutionError, unknown_identity(*id, *group)),
        FailureKind::Dictionary { directory: true } => (
            Io::DirectoryError,
            format!(
                "Directory error: Failed to open redaction dictionary directory: {message}: {DICTIONARY_DIRECTORY}"
            ),
        ),
        FailureKind::Dictionary { directory: false } => (
            Io::FileError,
            format!("File error: Failed to open redaction dictionary file: {message}: {REDACTION_DICTIONARY}"),
        ),
        FailureKind::DictionaryItself => (
            Io::UnsupportedOperationError,
            "Unsupported Operation error: Trying to redacted_read the redaction dictionary is not supported/allowed"
                .to_owned(),
        ),
        FailureKind::InvalidArguments => (Io::InvalidArguments, format!("Invalid arguments: {message}")),
        FailureKind::InvalidPath => (Io::InvalidPath, format!("Invalid path: {message}")),
        FailureKind::UnknownName { group } => (Io::IdentityResolutionError, unknown(message, *group)),
        FailureKind::DestinationNotEmpty { size } => {
            (Io::DestinationFileNotEmptyError, format!("Destination file not empty: File: {path}, Size: {size} bytes"))
        }
        FailureKind::NotALink => (Io::ValidationError, "Validation error: argument is not a symlink".to_owned()),
        FailureKind::InvalidMode { mode } => (
            Io::ValidationError,
            format!("Validation error: Invalid permissions. Permissions must be in the range 0-777 octal: 0o{mode:o}"),
        ),
        FailureKind::UnsupportedAttribute => (
            Io::UnsupportedOperationError,
            format!(
                "Unsupported Operation error: Extended attribute for '{message}' is not supported. Only '{SELINUX}' is \
                 supported."
            ),
        ),
        FailureKind::UnsupportedEntry { kind } => (
            Io::UnsupportedOperationError,
            format!("Unsupported Operation error: {} directory entry is not supported", EntryType(*kind)),
        ),
        FailureKind::NotReadOnly => {
            (Io::InvalidFileMode, format!("Invalid file mode: Files must be opened read-only for execution.: {path}"))
        }
        FailureKind::NoProcess { pid } => {
            (Io::Other, format!("File descriptor operation failed: Failed to open pidfd for PID {pid}"))
        }
        FailureKind::Namespace { errno } => {
            let text = format!(
                "Process namespace fatal error: Failed to switch to namespace using pidfd: {}",
                errno_text(*errno)
            );
            (Io::ProcessNamespaceFatalError, text)
        }
        FailureKind::NoUrl
        | FailureKind::Request
        | FailureKind::NoHost
        | FailureKind::NoBus
        | FailureKind::Bus { .. }
        | FailureKind::NoUnit
        | FailureKind::Job
        | FailureKind::OnlyForWorkers
        | FailureKind::NotKnown
        | FailureKind::Limit(_) => (Io::Other, message.to_owned()),
    };
    Error::because(failure, kind, text)
}

/// Opening a directory as such. `create` is how it should have been made, if at all.
pub(crate) fn open_dir(failure: &Failure, path: &AbsPath, follow: bool, create: Option<bool>) -> Error {
    if follow {
        return general(failure, path);
    }
    let text = match (&failure.kind, create) {
        (FailureKind::InvalidPath, Some(_)) => {
            return Error::because(failure, Io::InvalidPath, "Invalid path: parent path invalid");
        }
        (FailureKind::LinkNotFollowed | FailureKind::NotRegularFile, _)
        | (FailureKind::Refused { errno: libc::ENOTDIR | libc::ELOOP }, _)
        | (FailureKind::Refused { errno: libc::EEXIST }, Some(true)) => format!("{NOT_A_DIRECTORY}{path}"),
        (FailureKind::Refused { errno }, Some(false)) => {
            format!("Directory error: failed to create directory: {path}: {}", errno_text(*errno))
        }
        (FailureKind::Refused { errno }, Some(true)) => {
            format!("Directory error: failed to open directory: {path}: {}", errno_text(*errno))
        }
        _ => return general(failure, path),
    };
    Error::because(failure, Io::DirectoryOpenError, text)
}

/// Opening a file in an open directory.
pub(crate) fn open_file(failure: &Failure, path: &AbsPath, follow: bool) -> Error {
    match &failure.kind {
        FailureKind::Refused { .. } if follow => rustix(failure, path),
        FailureKind::Refused { errno: libc::ELOOP } => {
            let text = format!("File error: file is a symbolic link but follow_symlinks is not enabled: {path}");
            Error::because(failure, Io::FileError, text)
        }
        FailureKind::InvalidArguments => Error::because(
            failure,
            Io::InvalidArguments,
            "Invalid arguments: Invalid open file options: at least one of read, write or create flags must be true",
        ),
        _ => general(failure, path),
    }
}

/// Removing a file, or a directory.
pub(crate) fn remove(failure: &Failure, path: &AbsPath, directory: bool) -> Error {
    match &failure.kind {
        _ if is_gone(failure) => {
            Error::because(failure, Io::NotFound, format!("No such file or directory found: {path}"))
        }
        FailureKind::Refused { errno } if directory => Error::because(
            failure,
            Io::DirectoryError,
            format!("Directory error: Error removing directory: {path}: {}", errno_text(*errno)),
        ),
        FailureKind::Refused { errno } => Error::because(
            failure,
            Io::FileError,
            format!("File error: Error removing file: {path}: {}", errno_text(*errno)),
        ),
        _ => general(failure, path),
    }
}

/// Moving the file `from`.
pub(crate) fn moving_file(failure: &Failure, from: &AbsPath, to: &str) -> Error {
    Error::because(failure, Io::FileError, format!("File error: {}", moving("file", failure, from, to)))
}

/// Moving the directory `from`.
pub(crate) fn moving_dir(failure: &Failure, from: &AbsPath, to: &str) -> Error {
    Error::because(failure, Io::DirectoryError, format!("Directory error: {}", moving("dir", failure, from, to)))
}

fn moving(what: &str, failure: &Failure, from: &AbsPath, to: &str) -> String {
    let name = from.split().map_or_else(String::new, |(_, name)| name.to_text());
    let cause = failure.errno().map_or_else(|| failure.message.to_string(), errno_text);
    format!("Error moving {what} {name} from '{from}' to '{to}': {from}: {cause}")
}

/// What has a kind of its own for what the kernel says: lengths, attributes, and files behind links.
pub(crate) fn rustix(failure: &Failure, path: &AbsPath) -> Error {
    match failure.kind {
        FailureKind::Refused { errno } => Error::because(failure, Io::RustixError, errno_text(errno)),
        _ => general(failure, path),
    }
}

/// Reading redacted, where policy denies the dictionary and not the file.
pub(crate) fn dictionary(failure: &Failure, denial: &Denial) -> Error {
    // What is asked for tells the step: the directory is opened first, as a directory.
    let directory = denial.resource.starts_with("file_system::Dir::");
    let kind = FailureKind::Dictionary { directory };
    let told = general(&Failure { kind, message: failure.message.clone() }, &AbsPath::root());
    Error::because(failure, told.kind(), told.message())
}

/// Whether there is nothing of that name, or no more.
pub(crate) fn is_gone(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Gone | FailureKind::Refused { errno: libc::ENOENT })
}

/// An owner or group without a name.
pub(crate) fn unknown_identity(id: u32, group: bool) -> String {
    unknown(&id.to_string(), group)
}

fn unknown(value: &str, group: bool) -> String {
    if group {
        format!("Identity resolution error: No group mapping found for gid: {value}")
    } else {
        format!("Identity resolution error: No user mapping found for uid: {value}")
    }
}

const NOT_A_DIRECTORY: &str = "Directory error: Not a directory, enable follow_symlinks to open the target directory: ";

/// Where the redaction dictionary lies.
const DICTIONARY_DIRECTORY: &str = "/etc/opt/rex";

fn mode(option: &str, path: &AbsPath) -> String {
    format!("Invalid file mode: Attempted to {option} a file without opening it with the {option} option.: {path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rex_protocol::limits::LimitName;

    fn path() -> AbsPath {
        AbsPath::parse("/d/f").unwrap()
    }

    fn failure(kind: FailureKind) -> Failure {
        Failure::new(kind, "told")
    }

    fn shown(error: Error) -> String {
        format!("{}: {}", error.kind(), error.message())
    }

    #[test]
    fn failures_in_general() {
        for (kind, expected) in [
            (FailureKind::Refused { errno: libc::EISDIR }, "IoError: Is a directory (os error 21)"),
            (
                FailureKind::ParentRefused { errno: libc::ENOENT },
                "DirectoryOpenError: Directory error: failed to open parent: /d: No such file or directory (os error 2)",
            ),
            (FailureKind::NotRegularFile, "ValidationError: Validation error: argument is not a file"),
            (
                FailureKind::NotOpenForReading,
                "InvalidFileMode: Invalid file mode: Attempted to read a file without opening it with the read option.: /d/f",
            ),
            (FailureKind::Gone, "NotFound: No such file or directory found: /d/f"),
            (
                FailureKind::UnknownIdentity { id: 7, group: true },
                "IdentityResolutionError: Identity resolution error: No group mapping found for gid: 7",
            ),
            (
                FailureKind::Dictionary { directory: true },
                "DirectoryError: Directory error: Failed to open redaction dictionary directory: told: /etc/opt/rex",
            ),
            (FailureKind::Limit(LimitName::Handles), "Other: told"),
        ] {
            assert_eq!(shown(general(&failure(kind), &path())), expected);
        }
    }

    #[test]
    fn failures_of_opening_and_removing() {
        let refused = |errno| failure(FailureKind::Refused { errno });
        let not_a_directory = format!("DirectoryOpenError: {NOT_A_DIRECTORY}/d/f");
        assert_eq!(shown(open_dir(&refused(libc::ENOTDIR), &path(), false, None)), not_a_directory);
        assert_eq!(
            shown(open_dir(&failure(FailureKind::LinkNotFollowed), &path(), false, Some(true))),
            not_a_directory
        );
        assert_eq!(
            shown(open_dir(&refused(libc::ENOTDIR), &path(), true, None)),
            "IoError: Not a directory (os error 20)"
        );
        assert_eq!(
            shown(open_dir(&refused(libc::EEXIST), &path(), false, Some(false))),
            "DirectoryOpenError: Directory error: failed to create directory: /d/f: File exists (os error 17)"
        );
        assert_eq!(
            shown(open_file(&refused(libc::ENOENT), &path(), true)),
            "RustixError: No such file or directory (os error 2)"
        );
        assert_eq!(
            shown(remove(&refused(libc::ENOENT), &path(), true)),
            "NotFound: No such file or directory found: /d/f"
        );
        assert_eq!(
            shown(remove(&refused(libc::EBUSY), &path(), true)),
            "DirectoryError: Directory error: Error removing directory: /d/f: Device or resource busy (os error 16)"
        );
    }

    #[test]
    fn failures_of_moving() {
        let refused = failure(FailureKind::Refused { errno: libc::EISDIR });
        let told = "from '/d/f' to '/d/to': /d/f: Is a directory (os error 21)";
        assert_eq!(
            shown(moving_file(&refused, &path(), "/d/to")),
            format!("FileError: File error: Error moving file f {told}")
        );
        assert_eq!(
            shown(moving_dir(&refused, &path(), "/d/to")),
            format!("DirectoryError: Directory error: Error moving dir f {told}")
        );
    }

    #[test]
    fn what_was_behind_goes_along() {
        use crate::error::Origin;
        let origin = |kind| general(&failure(kind), &path()).kind().origin;
        assert_eq!(origin(FailureKind::Refused { errno: libc::EACCES }), Some(Origin::AccessRefused));
        assert_eq!(origin(FailureKind::Refused { errno: libc::EPERM }), None);
        assert_eq!(origin(FailureKind::Limit(LimitName::Handles)), Some(Origin::Limit(LimitName::Handles)));
    }
}
