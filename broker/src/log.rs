//! The broker's own log: to the journal where systemd connected it, else to standard error.
//! It tells what the broker does; nothing that a script says ever stands in it.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log at `level`.
pub fn start(level: LevelFilter) {
    // systemd.exec(5): set when standard output or error is connected to the journal.
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let written = match journal {
        Some(journal) => tracing_subscriber::registry().with(journal.with_filter(level)).try_init(),
        None => {
            let lines = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_target(false)
                .with_ansi(false)
                .without_time()
                .with_filter(level);
            tracing_subscriber::registry().with(lines).try_init()
        }
    };
    // Only one start is made; a second would leave the first in force.
    debug_assert!(written.is_ok());
}

/// Several lines as one, for a log of lines.
pub fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}
