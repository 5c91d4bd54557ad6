//! `syncline export`: a data directory, a pool or an identity as lines of JSON, or as a table.

#[cfg(feature = "parquet")]
mod table;

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use syncline_engine::{
    Engine, Error as EngineError, Export as Exporting, ExportPosition, Exported, IdentityId,
    Metadata, PoolId, Refusal, Scope,
};
use syncline_server::lines::{Counts, Line, VERSION};
use syncline_server::site::stored;

use super::place::Place;
use super::progress::bar;
use super::say::say_beside;
use super::stopped::open;

/// Bytes after which the file is synced and says where it is.
const POSITION_BYTES: u64 = 8 << 20;

/// What to export, and where to.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    place: Place,
    /// Only this identity pool, with its settings, identities and logins
    #[arg(long, value_name = "ID")]
    pool: Option<String>,
    /// Only the datasets of this identity of the pool
    #[arg(long, value_name = "ID", requires = "pool")]
    identity: Option<String>,
    /// Lines of JSON, which `import` takes, or a Parquet table of all records, for analysts
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// Where to; "-" is stdout. A file is FILE.partial until it is whole
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Go on with FILE.partial, if nothing has changed since; lines of JSON only
    #[arg(long)]
    resume: bool,
    /// Say what was done as JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines of JSON.
    Ndjson,
    /// A table.
    Parquet,
}

/// Lines on their way out.
struct Out<W> {
    to: W,
    counts: Counts,
    /// Bytes since the last position.
    bytes: u64,
}

impl Export {
    /// Does it, and says what was written.
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let scope = self.scope()?;
        let to_stdout = self.out == Path::new("-");
        if self.resume && to_stdout {
            return Err("only a file can be gone on with: name it with --out".into());
        }
        if self.format == Format::Parquet {
            if !cfg!(feature = "parquet") {
                return Err(
                    "--format parquet needs a program with the feature parquet: build it \
                            with `cargo build --release --features full`"
                        .into(),
                );
            }
            if self.resume {
                return Err("a table cannot be gone on with: leave --resume out".into());
            }
        }
        let (out, as_json, format) = (self.out, self.json, self.format);
        if !to_stdout && out.exists() {
            let path = out.display();
            return Err(format!("{path} exists; take it away or choose another name").into());
        }
        let engine = open(self.place, false, true)?;
        if format == Format::Parquet {
            write_table(&engine, scope, &out, as_json)?;
            return Ok(engine.close()?);
        }
        let counts = if to_stdout {
            let to = BufWriter::new(io::stdout().lock());
            let mut lines = Out::new(to);
            write(&engine, engine.export(scope)?, &mut lines, None)?
        } else {
            to_file(&engine, scope, &out, self.resume)?
        };
        engine.close()?;
        let Counts {
            pools,
            identities,
            datasets,
            metadata,
        } = counts;
        let value = json!({
            "file": out.display().to_string(),
            "pools": pools,
            "identities": identities,
            "datasets": datasets,
            "metadata": metadata,
        });
        let text = format!(
            "Exported {datasets} datasets of {identities} identities in {pools} pools, and \
             {metadata} values of the server's own."
        );
        Ok(say_beside(as_json, &value, &text, to_stdout)?)
    }

    fn scope(&self) -> Result<Scope, Box<dyn Error>> {
        Ok(match (&self.pool, &self.identity) {
            (None, _) => Scope::All,
            (Some(pool), None) => Scope::Pool(PoolId::parse(pool)?),
            (Some(pool), Some(identity)) => {
                Scope::Identity(PoolId::parse(pool)?, IdentityId::parse(identity)?)
            }
        })
    }
}

impl<W: Write> Out<W> {
    fn new(to: W) -> Self {
        Self {
            to,
            counts: Counts::default(),
            bytes: 0,
        }
    }

    fn put(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.bytes += text.len() as u64;
        self.counts.add(line);
        self.to.write_all(&text)
    }
}

/// Writes an export; syncs the file from time to time, if it is one.
fn write<W: Write>(
    engine: &Engine,
    mut export: Exporting,
    out: &mut Out<W>,
    file: Option<&File>,
) -> Result<Counts, Box<dyn Error>> {
    let total = export.progress().datasets_total;
    let bar = bar(total, "{bar:40} {pos}/{len} datasets, {eta} left");
    if out.counts == Counts::default() {
        out.put(&header(&export))?;
    }
    while let Some(exported) = export.next() {
        out.put(&exported?.into())?;
        bar.set_position(export.progress().datasets);
        if let Some(file) = file
            && out.bytes >= POSITION_BYTES
        {
            let position = export.position().to_string();
            out.put(&Line::Position { position })?;
            out.to.flush()?;
            file.sync_data()?;
            out.bytes = 0;
        }
    }
    // Behind all positions, so that what goes on with the file writes it anew.
    if let Scope::Pool(pool) = export.scope() {
        put_belongings(engine, pool, out)?;
    }
    out.put(&Line::End(out.counts))?;
    out.to.flush()?;
    bar.finish_and_clear();
    Ok(out.counts)
}

/// Writes what the server keeps of a pool: without it nobody could sign in to what is in the pool.
/// The server is stopped, so it is of the moment of the rest.
fn put_belongings<W: Write>(
    engine: &Engine,
    pool: PoolId,
    out: &mut Out<W>,
) -> Result<(), Box<dyn Error>> {
    let Some(pool) = stored::Id::parse(pool.as_str()) else {
        return Ok(());
    };
    let reader = engine.reader();
    let mut put = |Metadata { key, value, .. }| out.put(&Exported::Metadata { key, value }.into());
    if let Some(record) = reader.metadata(&stored::pool_key(&pool))? {
        put(record)?;
    }
    for prefix in stored::prefixes_of_pool(pool.uuid) {
        for found in reader.each_metadata(prefix.as_bytes()) {
            let found = found?;
            let home = stored::home_of(&found.key);
            put(found)?;
            if let Some(home) = home
                && let Some(record) = reader.metadata(&home)?
            {
                put(record)?;
            }
        }
    }
    Ok(())
}

#[cfg(feature = "parquet")]
fn write_table(
    engine: &Engine,
    scope: Scope,
    out: &Path,
    as_json: bool,
) -> Result<(), Box<dyn Error>> {
    let to_stdout = out == Path::new("-");
    let table::Written {
        pools,
        identities,
        datasets,
        records,
    } = match to_stdout {
        true => table::to_stdout(engine, scope)?,
        false => table::to_file(engine, scope, out)?,
    };
    let value = json!({
        "file": out.display().to_string(),
        "pools": pools,
        "identities": identities,
        "datasets": datasets,
        "records": records,
    });
    let text = format!(
        "Exported {records} records of {datasets} datasets of {identities} identities in {pools} \
         pools."
    );
    Ok(say_beside(as_json, &value, &text, to_stdout)?)
}

#[cfg(not(feature = "parquet"))]
fn write_table(_: &Engine, _: Scope, _: &Path, _: bool) -> Result<(), Box<dyn Error>> {
    Err("this program has no tables".into())
}

fn header(export: &Exporting) -> Line {
    let cursor = export.cursor();
    let (pool, identity) = match export.scope() {
        Scope::All => (None, None),
        Scope::Pool(pool) => (Some(pool.to_string()), None),
        Scope::Identity(pool, identity) => (Some(pool.to_string()), Some(identity.to_string())),
    };
    Line::Header {
        version: VERSION,
        store: cursor.store.to_string(),
        sequence: cursor.sequence.get(),
        pool,
        identity,
    }
}

fn to_file(
    engine: &Engine,
    scope: Scope,
    out: &Path,
    resume: bool,
) -> Result<Counts, Box<dyn Error>> {
    let partial = partial_of(out);
    let name = partial.display();
    // What users stored is nobody else's business.
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    if resume {
        options.open(&partial)
    } else {
        options.create_new(true).open(&partial)
    }
    .map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{name} exists: go on with it by --resume, or take it away to begin again")
        }
        io::ErrorKind::NotFound if resume => {
            format!("there is no {name} to go on with: leave --resume out")
        }
        _ => format!("cannot open {name}: {error}"),
    })
    .map_err(Box::<dyn Error>::from)
    .and_then(|mut file| {
        let (left, end) = if resume {
            left_off(&file, &name.to_string())?
        } else {
            (None, 0)
        };
        let (export, counts) = match left {
            Some((position, _)) if position.scope() != scope => {
                return Err(format!("{name} is an export of something else").into());
            }
            Some((position, counts)) => (resumed(engine, &position, &partial)?, counts),
            None => match engine.export(scope) {
                Ok(export) => (export, Counts::default()),
                Err(error) => {
                    if !resume {
                        // It is empty, and in the way of the next try.
                        std::fs::remove_file(&partial)?;
                    }
                    return Err(error.into());
                }
            },
        };
        file.set_len(end)?;
        file.seek(io::SeekFrom::Start(end))?;
        let mut lines = Out::new(BufWriter::new(&file));
        lines.counts = counts;
        let counts = write(engine, export, &mut lines, Some(&file))?;
        file.sync_all()?;
        std::fs::rename(&partial, out)?;
        sync_directory(out)?;
        Ok(counts)
    })
}

/// What a file is called until it is whole.
fn partial_of(out: &Path) -> PathBuf {
    let mut partial = out.as_os_str().to_owned();
    partial.push(".partial");
    PathBuf::from(partial)
}

fn resumed(
    engine: &Engine,
    position: &ExportPosition,
    partial: &Path,
) -> Result<Exporting, Box<dyn Error>> {
    engine.resume_export(position).map_err(|error| match error {
        EngineError::Refusal(Refusal::ExportGone { .. } | Refusal::ForeignCursor) => {
            let name = partial.display();
            format!("{name} cannot be gone on with: {error}; take it away and leave --resume out")
                .into()
        }
        error => Box::<dyn Error>::from(error),
    })
}

/// A position in an export, and what was written up to there.
type LeftOff = Option<(ExportPosition, Counts)>;

/// Reads what is there: its last position, and where in the file that is.
fn left_off(file: &File, name: &str) -> Result<(LeftOff, u64), Box<dyn Error>> {
    let mut found = None;
    let mut counts = Counts::default();
    let (mut offset, mut end) = (0, 0);
    let mut reader = BufReader::new(file);
    let mut text = Vec::new();
    while reader.read_until(b'\n', &mut text)? > 0 && text.ends_with(b"\n") {
        let line = Line::parse(&text);
        if offset == 0 && !matches!(line, Ok(Line::Header { .. })) {
            return Err(
                format!("{name} is no export: take it away, or choose another name").into(),
            );
        }
        offset += text.len() as u64;
        let Ok(line) = line else { break };
        counts.add(&line);
        if let Line::Position { position } = line {
            found = Some((position.parse()?, counts));
            end = offset;
        }
        text.clear();
    }
    Ok((found, end))
}

/// Makes the names in the directory of a file last.
fn sync_directory(file: &Path) -> std::io::Result<()> {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
