//! Why the program did not do what it was asked for.

use crate::exit::Exit;
use rex_broker::config::ConfigError;
use std::io;
use std::path::Path;

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration, which tells where the log is.
    #[error("{0}; name the log's directory with --directory to do without")]
    Config(#[from] ConfigError),
    /// The log.
    #[error("cannot read the audit log in `{directory}`: {error}{hint}")]
    Log {
        /// Where it is.
        directory: String,
        /// Why not.
        error: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// Nothing is there to report on.
    #[error(
        "no record matches, so there is no report: widen the filters, or look at what is there with `rex-audit show`"
    )]
    NoRecord,
    /// More than a report can tell of.
    #[error("more than {0} records match: narrow the report with --day, --run or another filter")]
    TooMany(usize),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] nix::Error),
    /// What was found cannot be put out.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// It cannot be put into the file that was named.
    #[error("cannot write `{path}`: {error}; name another place with --output")]
    File {
        /// The file.
        path: String,
        /// Why not.
        error: io::Error,
    },
}

impl Failure {
    /// Of reading the log.
    pub(crate) fn of_log(directory: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |error| {
            let hint = match error.kind() {
                io::ErrorKind::PermissionDenied => "; it is kept for root: try as root",
                io::ErrorKind::NotFound => "; name its directory with --directory",
                _ => "",
            };
            Self::Log { directory: directory.display().to_string(), error, hint }
        }
    }

    /// How the program ends then.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            // A reader that went away has what it wants.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
            Self::Config(_) | Self::Log { .. } => Exit::Unreadable,
            Self::NoRecord | Self::TooMany(_) => Exit::Found,
            Self::Output(_) | Self::File { .. } | Self::Signals(_) => Exit::Unwritten,
        }
    }
}
