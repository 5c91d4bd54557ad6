//! `syncline import`: what `syncline export` wrote, into a data directory.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use syncline_engine::{
    Engine, Error as EngineError, Expected, IdentityId, Listing, Proposal, Reader, Wish,
};
use syncline_server::lines::{Counts, Line, VERSION};

use super::place::Place;
use super::progress::bar;
use super::stopped::{open, say_beside};

/// Longer than any line that an export writes.
const LINE_BYTES_MAX: u64 = 1 << 30;
/// Bytes of lines that are committed together.
const LOAD_BYTES: usize = 4 << 20;

/// What to import, and where to.
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    place: Place,
    /// Only this identity of the file
    #[arg(long, value_name = "ID", requires = "to")]
    identity: Option<String>,
    /// The identity that gets its datasets; may be the same one
    #[arg(long, value_name = "ID", requires = "identity")]
    to: Option<String>,
    /// What `syncline export` wrote; "-" is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Say what was done as JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// Lines on their way in.
struct Lines<R> {
    from: R,
    number: u64,
    text: Vec<u8>,
    counts: Counts,
    ended: bool,
}

impl Import {
    /// Does it, and says what was there already.
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let only = match (&self.identity, &self.to) {
            (Some(one), Some(to)) => Some((IdentityId::parse(one)?, IdentityId::parse(to)?)),
            _ => None,
        };
        let stdin = self.file == Path::new("-");
        let (imported, known) = if stdin {
            let engine = open(self.place, true, true)?;
            load(&engine, Lines::new(io::stdin().lock()), only, 0)?
        } else {
            let name = self.file.display();
            let mut file =
                File::open(&self.file).map_err(|e| format!("cannot open {name}: {e}"))?;
            // Nothing is imported of a file that was cut off.
            let mut lines = Lines::new(BufReader::new(&file));
            while let Some(line) = lines.next()? {
                line.wish().map_err(|error| lines.wrong(&error))?;
            }
            file.seek(io::SeekFrom::Start(0))?;
            let engine = open(self.place, true, true)?;
            let bytes = file.metadata()?.len();
            load(&engine, Lines::new(BufReader::new(&file)), only, bytes)?
        };
        if only.is_some() && imported + known == 0 {
            return Err("the file has nothing of this identity".into());
        }
        let text = if self.json {
            json!({ "imported": imported, "there_already": known }).to_string()
        } else {
            format!("Imported {imported} lines; {known} were there already.")
        };
        Ok(say_beside(&text, false)?)
    }
}

impl<R: BufRead> Lines<R> {
    fn new(from: R) -> Self {
        Self {
            from,
            number: 0,
            text: Vec::new(),
            counts: Counts::default(),
            ended: false,
        }
    }

    /// The next line, `None` behind the last; checks the first and the last one.
    fn next(&mut self) -> Result<Option<Line>, Box<dyn Error>> {
        self.text.clear();
        let mut bounded = self.from.by_ref().take(LINE_BYTES_MAX);
        let got = bounded.read_until(b'\n', &mut self.text)?;
        if got == 0 && self.ended {
            return Ok(None);
        }
        if got == 0 || !self.text.ends_with(b"\n") {
            return Err("the file was cut off: its last line is missing; export it again".into());
        }
        self.number += 1;
        let line = Line::parse(&self.text).map_err(|error| self.wrong(&error))?;
        match &line {
            Line::Header { version, .. } if self.number == 1 && *version == VERSION => {}
            Line::Header { version, .. } if self.number == 1 => {
                let why = format!("it has version {version}, and this program reads {VERSION}");
                return Err(why.into());
            }
            _ if self.number == 1 || self.ended || matches!(line, Line::Header { .. }) => {
                return Err(self.wrong("an export begins with its header and ends with its end"));
            }
            Line::End(counts) if *counts != self.counts => {
                return Err(self.wrong("lines are missing before it"));
            }
            Line::End(_) => self.ended = true,
            line => self.counts.add(line),
        }
        Ok(Some(line))
    }

    fn wrong(&self, why: impl std::fmt::Display) -> Box<dyn Error> {
        format!("line {}: {why}", self.number).into()
    }
}

/// Imports the lines; says how many, and how many were there already.
fn load<R: BufRead>(
    engine: &Engine,
    mut lines: Lines<R>,
    only: Option<(IdentityId, IdentityId)>,
    bytes: u64,
) -> Result<(u64, u64), Box<dyn Error>> {
    let bar = bar(bytes, "{bar:40} {bytes}/{total_bytes}, {eta} left");
    let (mut imported, mut known) = (0, 0);
    let (mut proposals, mut loaded) = (Vec::new(), 0);
    loop {
        let line = lines.next()?;
        let last = line.is_none();
        let wish = line.map(Line::wish).transpose();
        let wish = wish.map_err(|error| lines.wrong(&error))?.flatten();
        if let Some(wish) = wish.and_then(|wish| chosen(wish, only)) {
            if is_known(engine.reader(), &wish).map_err(|error| lines.wrong(&error))? {
                known += 1;
            } else {
                loaded += lines.text.len();
                proposals.push(Proposal::from(wish));
            }
        }
        if loaded >= LOAD_BYTES || proposals.len() >= 1000 || last {
            for answer in engine.commit_all(std::mem::take(&mut proposals)) {
                answer.map_err(|error| {
                    let why = format!(
                        "{error}; put that right and run this again: what was \
                                       imported stays and is passed over"
                    );
                    lines.wrong(why)
                })?;
                imported += 1;
            }
            bar.inc(loaded as u64);
            loaded = 0;
        }
        if last {
            break;
        }
    }
    bar.finish_and_clear();
    engine.close()?;
    Ok((imported, known))
}

/// The wish, for whom it is now; `None` if it is not about the one identity that is asked for.
fn chosen(mut wish: Wish, only: Option<(IdentityId, IdentityId)>) -> Option<Wish> {
    let Some((one, to)) = only else {
        return Some(wish);
    };
    let identity = match &mut wish {
        Wish::Import { dataset, .. } => &mut dataset.identity,
        Wish::ImportIdentity { identity, .. } => identity,
        _ => return None,
    };
    if *identity != one {
        return None;
    }
    *identity = to;
    Some(wish)
}

/// Whether what a wish would make is there already; an error if something else is.
fn is_known(reader: Reader<'_>, wish: &Wish) -> Result<bool, KnownError> {
    match wish {
        Wish::Import { dataset, content } => {
            let listed = reader.list(dataset, &Listing::default())?;
            let Some(info) = &listed.dataset else {
                return Ok(false);
            };
            let records = listed.records().map(|record| record.to_record());
            let same = info.created == content.created
                && info.modified == content.modified
                && info.modified_by == content.modified_by
                && live(records).eq(live(content.records.iter().cloned()));
            if same {
                return Ok(true);
            }
            Err(KnownError::Other(format!(
                "the dataset {dataset} exists already and is another one; delete it first, or \
                 import into a new data directory"
            )))
        }
        Wish::PutMetadata {
            key,
            value,
            expected: Expected::Nothing,
        } => match reader.metadata(key)? {
            None => Ok(false),
            Some(found) if found.value == *value => Ok(true),
            Some(_) => Err(KnownError::Other(format!(
                "the server has something else at {key} already; import into a new data directory"
            ))),
        },
        _ => Ok(false),
    }
}

fn live(
    records: impl Iterator<Item = syncline_engine::Record>,
) -> impl Iterator<Item = syncline_engine::Record> {
    records.filter(|record| record.value.is_some())
}

/// Why it cannot be said whether something is there.
#[derive(Debug, thiserror::Error)]
enum KnownError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{0}")]
    Other(String),
}
