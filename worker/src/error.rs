//! Errors of the functions that scripts call, as scripts see them: `#{kind, message, source}`.

use rex_protocol::limits::LimitName;
use rex_protocol::{Failure, failure::FailureKind};
use rhai::{Dynamic, EvalAltResult, Map};
use std::fmt;

/// What such functions give.
pub type Result<T> = std::result::Result<T, Box<EvalAltResult>>;

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident, $source:literal: $($kind:ident)*; hidden: $($hidden:ident)*;) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum $name { $($kind,)* $($hidden,)* }

        impl $name {
            /// The module that holds the kinds as constants, and what `source` of an error says.
            pub const SOURCE: &'static str = $source;
            /// The kinds that have a constant.
            pub const CONSTANTS: &'static [$name] = &[$($name::$kind,)*];

            /// The kind as a value of the language.
            pub const fn kind(self) -> Kind {
                let name = match self {
                    $($name::$kind => stringify!($kind),)*
                    $($name::$hidden => stringify!($hidden),)*
                };
                Kind { source: Self::SOURCE, name, origin: None }
            }
        }

        impl From<$name> for Kind {
            fn from(kind: $name) -> Self {
                kind.kind()
            }
        }
    };
}

kinds! {
    /// The kinds of errors about files, and of everything that has no kinds of its own.
    Io, "IoErrorKind":
    InvalidPath InvalidArguments InvalidFileMode ValidationError DirectoryOpenError DirectoryError FileError
    DestinationFileNotEmptyError NotFound DirectoryNotEmpty PermissionDenied AuthorizationError
    IdentityResolutionError UnsupportedOperationError FileContentTooLargeError FileCopyError FileReadError
    EntryTypeMismatchError IoError TryFromIntError RustixError Utf8Error Other;
    hidden: CallbackError ProcessNamespaceFatalError;
}

kinds! {
    /// The kinds of errors about dates.
    CommonUtils, "CommonUtilsErrorKind":
    InvalidArguments ParseError FormatError Other;
    hidden: ;
}

kinds! {
    /// The kinds of errors about processes and services.
    Process, "ProcessErrorKind":
    ProcessNotFound PidNamespaceOperationError NamespaceOperationError PermissionDenied AuthorizationError
    ValidationError CallbackExecutionError ProcessEnumerationError DBusError PrivilegeError ServiceNotFound Other;
    hidden: ;
}

kinds! {
    /// The kinds of errors about what the system tells of itself, and about kernel settings.
    Systeminfo, "SysteminfoErrorKind":
    AuthorizationError PermissionDenied IoError CapsError InvalidParameter InvalidValue PrivilegeError ProcFsError Other;
    hidden: ;
}

kinds! {
    /// The kinds of errors about disks and mounted file systems.
    Diskinfo, "DiskinfoErrorKind":
    AuthorizationError InvalidPath SystemError PermissionDenied TryFromIntError IoError Other NixError;
    hidden: ;
}

kinds! {
    /// The kinds of errors about the network.
    Network, "NetworkErrorKind":
    PermissionDenied AuthorizationError RequestError Other;
    hidden: ;
}

/// The kind of an error: a value of the language, which compares by module and name.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The module that holds it.
    pub source: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What was behind the error. A script can pass this on; it cannot make one.
    pub origin: Option<Origin>,
}

/// What was behind an error, where the end of a run tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The session answered that policy says no.
    Denied,
    /// The session answered that the kernel refuses access.
    AccessRefused,
    /// The session answered that a limit was reached.
    Limit(LimitName),
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        (self.source, self.name) == (other.source, other.name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// An error to be raised.
#[derive(Debug, Clone)]
pub struct Error {
    kind: Kind,
    message: String,
}

impl Error {
    /// An error of `kind`, with the whole message.
    pub fn new(kind: impl Into<Kind>, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into() }
    }

    /// An error of `kind` that comes from what the session answered.
    pub fn because(failure: &Failure, kind: impl Into<Kind>, message: impl Into<String>) -> Self {
        let origin = match failure.kind {
            FailureKind::Denied(_) => Some(Origin::Denied),
            FailureKind::Limit(limit) => Some(Origin::Limit(limit)),
            _ if failure.errno() == Some(libc::EACCES) => Some(Origin::AccessRefused),
            _ => None,
        };
        // What a dry run cannot know is no fault of what was asked for: it is told in its own words.
        match failure.kind {
            FailureKind::NotKnown => Self::with_origin(origin, kind, &*failure.message),
            _ => Self::with_origin(origin, kind, message),
        }
    }

    /// An error of `kind` that comes from another one with this origin.
    pub fn with_origin(origin: Option<Origin>, kind: impl Into<Kind>, message: impl Into<String>) -> Self {
        Self { kind: Kind { origin, ..kind.into() }, message: message.into() }
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<Error> for Box<EvalAltResult> {
    fn from(error: Error) -> Self {
        let mut map = Map::new();
        map.insert("kind".into(), Dynamic::from(error.kind));
        map.insert("message".into(), error.message.into());
        map.insert("source".into(), error.kind.source.into());
        // The position is filled in by the engine.
        EvalAltResult::ErrorRuntime(Dynamic::from_map(map), rhai::Position::NONE).into()
    }
}

/// The same error as one of another kind, with what was behind it.
pub fn as_kind(error: Box<EvalAltResult>, kind: impl Into<Kind>) -> Box<EvalAltResult> {
    let told = match &*error {
        EvalAltResult::ErrorRuntime(value, _) => value.read_lock::<Map>().and_then(|map| {
            let was = map.get("kind")?.clone().try_cast::<Kind>()?;
            Some((was.origin, map.get("message")?.to_string()))
        }),
        _ => None,
    };
    told.map_or(error, |(origin, message)| Error::with_origin(origin, kind, message).into())
}

/// The error that consists of nothing but the message of `error`, as some commands raise it.
pub fn bare(error: Box<EvalAltResult>) -> Box<EvalAltResult> {
    let message = match &*error {
        EvalAltResult::ErrorRuntime(value, _) => value.read_lock::<Map>().and_then(|map| map.get("message").cloned()),
        _ => None,
    };
    message.map_or(error, |message| EvalAltResult::ErrorRuntime(message, rhai::Position::NONE).into())
}

/// The text of an error number: `No such file or directory (os error 2)`.
pub fn errno_text(errno: i32) -> String {
    std::io::Error::from_raw_os_error(errno).to_string()
}
