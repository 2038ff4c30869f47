//! `rex-audit show` and `rex-audit follow`.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::options::{self, Filters, Format};
use crate::output::{Next, Output};
use crate::unknown::Unknown;
use crate::view::{self, View};
use rex_broker::audit::Reader;
use std::collections::VecDeque;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

/// How often it is looked for new records, in milliseconds.
const TICK: u16 = 200;

/// Shows what is there.
pub(crate) fn show(directory: &Path, options: &options::Show) -> Result<Exit, Failure> {
    let mut lines = Lines::open(directory, options)?;
    let mut stdout = BufWriter::new(io::stdout().lock());
    loop {
        match lines.step()? {
            Step::Line(line) => stdout.write_all(line.as_bytes())?,
            Step::Passed => {}
            Step::End => break,
        }
    }
    stdout.flush()?;
    Ok(Exit::Success)
}

/// Shows what is there and what comes.
pub(crate) fn follow(directory: &Path, options: &options::Show) -> Result<Exit, Failure> {
    let mut lines = Lines::open(directory, options)?;
    let mut output = Output::new().map_err(Failure::Signals)?;
    loop {
        let next = match lines.step()? {
            Step::Line(line) => output.write(&line)?,
            Step::Passed => output.wait(0)?,
            Step::End => output.wait(TICK)?,
        };
        if next == Next::End {
            return Ok(Exit::Success);
        }
    }
}

/// What comes of the next record.
enum Step {
    /// It is meant. Its line, with its end.
    Line(String),
    /// It is not meant.
    Passed,
    /// There is none yet.
    End,
}

/// The lines of the records that are meant.
struct Lines<'a> {
    directory: &'a Path,
    reader: Reader,
    filter: Filter,
    view: View,
    /// What is shown first, the last ones of what was there.
    kept: VecDeque<String>,
}

impl<'a> Lines<'a> {
    fn open(directory: &'a Path, options: &options::Show) -> Result<Self, Failure> {
        let Filters { last, .. } = options.filters;
        let failed = Failure::of_log(directory);
        let is_human = view::usual(options.output_format, io::stdout().is_terminal()) == Format::Human;
        let mut unknown = Unknown::default();
        if is_human {
            for record in Reader::open(directory).map_err(&failed)? {
                unknown.take(&record.map_err(&failed)?);
            }
        }
        let mut lines = Self {
            directory,
            reader: Reader::open(directory).map_err(&failed)?,
            filter: Filter::new(&options.filters),
            view: View::for_stdout(options.output_format, unknown),
            kept: VecDeque::new(),
        };
        if let Some(last) = last {
            lines.keep(last)?;
        }
        Ok(lines)
    }

    /// Passes over all that is there but the last ones.
    fn keep(&mut self, last: usize) -> Result<(), Failure> {
        let mut kept = VecDeque::new();
        loop {
            match self.step()? {
                Step::Line(line) => kept.push_back(line),
                Step::Passed => {}
                Step::End => break,
            }
            if kept.len() > last {
                kept.pop_front();
            }
        }
        self.kept = kept;
        Ok(())
    }

    fn step(&mut self) -> Result<Step, Failure> {
        if let Some(line) = self.kept.pop_front() {
            return Ok(Step::Line(line));
        }
        let Some(record) = self.reader.next_record().map_err(Failure::of_log(self.directory))? else {
            return Ok(Step::End);
        };
        if !self.filter.takes(&record) {
            self.view.pass(&record);
            return Ok(Step::Passed);
        }
        Ok(Step::Line(self.view.line(&record) + "\n"))
    }
}
