//! From a submission to its end: the run's events, the signals, the clock.

use super::human::Screen;
use super::record::Record;
use super::signals::Signals;
use super::terminal::Progress;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use rex_client::{Error, Event, Outcome, Run};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long a cancelled run may take to end.
const CANCELLATION: Duration = Duration::from_millis(700);

/// Why a run is not followed to its outcome.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Broker or connection failed.
    Broker(Error),
    /// Ctrl-C or the terminal's end: nothing more is to be said.
    Interrupted(Signal),
    /// Standard output takes nothing more.
    Output(io::Error),
}

/// Follows a run to its outcome. `SIGTERM` tells the script to end, `SIGINT` and `SIGHUP` end it.
pub(crate) fn follow(run: &mut Run, screen: &mut Screen, record: &mut Record) -> Result<Outcome, Stop> {
    let mut signals = Signals::hold().map_err(|error| Stop::Broker(error.into()))?;
    let mut interrupted: Option<(Signal, Instant)> = None;
    loop {
        while let Some(event) = listen(run, interrupted)? {
            match event {
                Event::Outcome(outcome) => {
                    return interrupted.map_or(Ok(outcome), |(signal, _)| Err(Stop::Interrupted(signal)));
                }
                Event::Progress { operations, current } => screen.update(operations, &current),
                event if interrupted.is_none() && screen.shows(&event) => {
                    signals.interruptible(|| screen.show(&event)).map_err(Stop::Output)?;
                    record.add(event);
                }
                event => record.add(event),
            }
        }
        while let Some(signal) = signals.next() {
            match (signal, interrupted) {
                (Signal::SIGTERM, None) => run.terminate(),
                (signal, None) => {
                    screen.clear();
                    run.cancel();
                    interrupted = Some((signal, Instant::now() + CANCELLATION));
                }
                // Asked twice.
                (signal, Some(_)) => return Err(Stop::Interrupted(signal)),
            }
        }
        match interrupted {
            Some((signal, end)) if Instant::now() >= end => return Err(Stop::Interrupted(signal)),
            Some(_) => {}
            None => screen.tick(),
        }
        wait(run, &signals, interrupted.map(|(_, end)| end), screen.shows_progress())
            .map_err(|errno| Stop::Broker(errno.into()))?;
    }
}

/// The next event. Whatever fails after the run was cancelled is the cancellation.
fn listen(run: &mut Run, interrupted: Option<(Signal, Instant)>) -> Result<Option<Event>, Stop> {
    run.poll_event().map_err(|error| match interrupted {
        Some((signal, _)) => Stop::Interrupted(signal),
        None => Stop::Broker(error),
    })
}

fn wait(run: &Run, signals: &Signals, end: Option<Instant>, ticks: bool) -> nix::Result<()> {
    let now = Instant::now();
    let mut due = end.unwrap_or_else(|| run.deadline());
    if ticks {
        due = due.min(now + Progress::TICK);
    }
    let left = due.saturating_duration_since(now).as_millis().saturating_add(1);
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    let mut polled = [PollFd::new(run.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    match poll(&mut polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}
