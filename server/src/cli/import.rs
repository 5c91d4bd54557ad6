//! `syncline import`: what `syncline export` wrote, into a data directory.

use std::error::Error;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use syncline_engine::{
    Engine, Error as EngineError, Expected, IdentityId, Listing, Proposal, Reader, Wish,
};
use syncline_server::error::Chain;
use syncline_server::lines::{Counts, Line, VERSION};
use syncline_server::site::stored::{self, Id};

use super::before::Before;
use super::place::Place;
use super::progress::bar;
use super::say::say;
use super::stopped::{known, open};

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

/// How many lines there are that change something, and how many that are known.
#[derive(Default)]
struct Loaded {
    imported: u64,
    known: u64,
}

/// Only this identity, for that one.
type Only = Option<(IdentityId, IdentityId)>;

impl Import {
    /// Does it, and says what was there already.
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let only: Only = match (&self.identity, &self.to) {
            (Some(one), Some(to)) => Some((IdentityId::parse(one)?, IdentityId::parse(to)?)),
            _ => None,
        };
        let loaded = if self.file == Path::new("-") {
            import(self.place, Lines::new(io::stdin().lock()), only, 0)?
        } else {
            let name = self.file.display();
            let mut file =
                File::open(&self.file).map_err(|e| format!("cannot open {name}: {e}"))?;
            // Nothing is imported of a file that was cut off, or breaks a rule.
            let mut lines = Lines::new(BufReader::new(&file));
            while let Some(line) = lines.next()? {
                lines.wish(line)?;
            }
            file.seek(io::SeekFrom::Start(0))?;
            let bytes = file.metadata()?.len();
            import(self.place, Lines::new(BufReader::new(&file)), only, bytes)?
        };
        let Loaded { imported, known } = loaded;
        if only.is_some() && imported + known == 0 {
            return Err("the file has nothing of this identity".into());
        }
        let value = json!({ "imported": imported, "there_already": known });
        let text = format!("Imported {imported} lines; {known} were there already.");
        Ok(say(self.json, &value, &text)?)
    }
}

/// Opens the store and imports the lines. If that fails and there was no store, there is none.
fn import<R: BufRead>(
    place: Place,
    lines: Lines<R>,
    only: Only,
    bytes: u64,
) -> Result<Loaded, Box<dyn Error>> {
    let directory = place.clone().read()?.data;
    let before = match known(&directory) {
        Ok(()) => None,
        // Whoever gets one identity's data must be there.
        Err(error) if only.is_some() => return Err(error.into()),
        Err(_) => Some(Before::look(&directory)?),
    };
    // What cannot be opened may be another's by now, and stays as it is.
    let engine = open(place, true, true)?;
    let loaded = load(&engine, lines, only, bytes);
    let closed = engine.close();
    drop(engine);
    let error = match (loaded, closed) {
        (Ok(loaded), Ok(())) => return Ok(loaded),
        (Err(error), _) => error,
        (_, Err(error)) => error.into(),
    };
    Err(match before.map(|before| before.bring_back()) {
        None => format!(
            "{error}; what was imported before stays, and is passed over when this is run again"
        ),
        Some(Ok(())) => format!("{error}; nothing was imported"),
        Some(Err(left)) => format!("{error}; what was imported is left there: {left}"),
    }
    .into())
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
        let line = Line::parse(&self.text).map_err(|error| self.wrong(Chain(&error)))?;
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

    /// What the line just read wishes for, if it breaks no rule.
    fn wish(&self, line: Line) -> Result<Option<Wish>, Box<dyn Error>> {
        let wish = line.wish().map_err(|error| self.wrong(Chain(&error)))?;
        if let Some(wish) = &wish {
            wish.check_import().map_err(|error| self.wrong(error))?;
        }
        Ok(wish)
    }

    fn wrong(&self, why: impl Display) -> Box<dyn Error> {
        wrong(self.number, why)
    }
}

fn wrong(line: u64, why: impl Display) -> Box<dyn Error> {
    format!("line {line}: {why}").into()
}

/// Imports the lines.
fn load<R: BufRead>(
    engine: &Engine,
    mut lines: Lines<R>,
    only: Only,
    bytes: u64,
) -> Result<Loaded, Box<dyn Error>> {
    let bar = bar(bytes, "{bar:40} {bytes}/{total_bytes}, {eta} left");
    let mut done = Loaded::default();
    let (mut numbers, mut proposals, mut loaded) = (Vec::new(), Vec::new(), 0);
    loop {
        let line = lines.next()?;
        let last = line.is_none();
        let wish = line.map(|line| lines.wish(line)).transpose()?.flatten();
        if let Some(wish) = wish.and_then(|wish| chosen(wish, only)) {
            if only.is_some() {
                check_owner(engine.reader(), &wish).map_err(|error| lines.wrong(error))?;
            }
            if is_known(engine.reader(), &wish).map_err(|error| lines.wrong(error))? {
                done.known += 1;
            } else {
                loaded += lines.text.len();
                numbers.push(lines.number);
                proposals.push(Proposal::from(wish));
            }
        }
        if loaded >= LOAD_BYTES || proposals.len() >= 1000 || last {
            let answers = engine.commit_all(std::mem::take(&mut proposals));
            for (answer, number) in answers.into_iter().zip(numbers.drain(..)) {
                answer.map_err(|error| wrong(number, Chain(&error)))?;
                done.imported += 1;
            }
            bar.inc(loaded as u64);
            loaded = 0;
        }
        if last {
            bar.finish_and_clear();
            return Ok(done);
        }
    }
}

/// Refuses data for an identity that the server does not know, which nobody could ever reach.
fn check_owner(reader: Reader<'_>, wish: &Wish) -> Result<(), String> {
    let (pool, identity) = match wish {
        Wish::Import { dataset, .. } => (dataset.pool, dataset.identity),
        Wish::ImportIdentity { pool, identity, .. } => (*pool, *identity),
        _ => return Ok(()),
    };
    let ids = (Id::parse(pool.as_str()), Id::parse(identity.as_str()));
    let is_there = match ids {
        (Some(pool), Some(identity)) => {
            let key = stored::identity_key(pool.uuid, identity.uuid);
            reader.metadata_version(&key).is_some()
        }
        _ => false,
    };
    if is_there {
        return Ok(());
    }
    Err(format!(
        "there is no identity {identity} in the pool {pool}; name one that exists with --to"
    ))
}

/// The wish, for whom it is now; `None` if it is not about the one identity that is asked for.
fn chosen(mut wish: Wish, only: Only) -> Option<Wish> {
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
            // A statistic; the one that is here goes on.
            Some(_) if key.as_bytes()[0] == stored::SESSIONS => Ok(true),
            Some(_) => Err(KnownError::Other(format!(
                "the server has {} already, and it is not the same; import into a new data \
                 directory",
                stored::readable(key)
            ))),
        },
        wish => Ok(reader.is_imported(wish)),
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
