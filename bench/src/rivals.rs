//! Servers of others that do the same durable update: Redis and PostgreSQL, each set up as somebody
//! would who knows it well, with a port and data of the run's own.
//!
//! They are spoken to in their own protocols. Nothing is signed and no session is kept, so they do
//! less for each update than the server that they are compared with.

mod postgres;
mod process;
mod redis;
mod resp;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::contestant::Totals;
use crate::failure::{Result, fail};
use crate::figure::{Latencies, Sample};
use crate::processor;
use crate::workload::{Dice, KEY, Update, VALUE_BYTES, Workload};
use process::Process;
pub use process::Program;

/// Updates of every connection before the clock starts: PostgreSQL plans a statement anew for the
/// first five times.
const WARM: usize = 6;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Redis,
    Postgres,
}

/// A running server that has every dataset.
pub struct Rival {
    pub kind: Kind,
    pub version: String,
    program: Program,
    directory: PathBuf,
    process: Process,
    /// The most connections at a time.
    connections: usize,
    workload: Arc<Workload>,
    /// Of every dataset, by what was acknowledged.
    counts: Vec<u64>,
}

/// A connection.
enum Link {
    Redis(redis::Session),
    Postgres(postgres::Session),
}

/// What a server holds.
struct Seen {
    /// Of every dataset, in the order of the workload.
    rows: Vec<Row>,
    /// Updates in the feed.
    commits: u64,
    /// Of the pool.
    bytes: u64,
    datasets: u64,
}

/// What it holds of a dataset.
struct Row {
    count: u64,
    record_count: u64,
    value: String,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Redis, Self::Postgres];

    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "Redis always",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// As the command line calls it.
    pub fn option(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Postgres => "postgresql",
        }
    }

    /// What can be started with data below a directory, or a sentence about what is missing.
    pub fn find(self, directory: &Path) -> std::result::Result<Program, String> {
        let found = match self {
            Self::Redis => redis::find(),
            Self::Postgres => postgres::find(directory),
        };
        found.map_err(|why| format!("{} is left out: {why}", self.name()))
    }

    /// Makes what has to be there before the first start.
    fn prepare(self, program: &Program, directory: &Path) -> Result<()> {
        match self {
            Self::Redis => Ok(()),
            Self::Postgres => postgres::prepare(program, directory),
        }
    }

    async fn connect(self, port: u16) -> Result<Link> {
        Ok(match self {
            Self::Redis => Link::Redis(redis::Session::open(port).await?),
            Self::Postgres => Link::Postgres(postgres::Session::open(port).await?),
        })
    }
}

impl Link {
    /// Returns the dataset's count once the update is durable.
    async fn update(&mut self, update: Update<'_>) -> Result<u64> {
        match self {
            Self::Redis(session) => session.update(update).await,
            Self::Postgres(session) => session.update(update).await,
        }
    }

    async fn look(&mut self, workload: &Workload) -> Result<Seen> {
        match self {
            Self::Redis(session) => session.look(workload).await,
            Self::Postgres(session) => session.look(workload).await,
        }
    }
}

impl Rival {
    /// Starts one with nothing in it, and writes so many datasets once.
    pub async fn open(
        kind: Kind,
        program: Program,
        parent: &Path,
        datasets: usize,
        connections: usize,
    ) -> Result<Self> {
        let directory = parent.join(kind.option());
        program.make_directory(&directory)?;
        kind.prepare(&program, &directory)?;
        let process = Process::start(kind, &program, &directory, connections).await?;
        let workload = Arc::new(Workload::new(datasets, 1)?);
        let mut link = kind.connect(process.port).await?;
        if let Link::Postgres(session) = &mut link {
            session.make_tables().await?;
        }
        for number in 0..datasets {
            link.update(workload.update(number, 0)).await?;
        }
        let rival = Self {
            kind,
            version: program.version.clone(),
            program,
            directory,
            process,
            connections,
            workload,
            counts: vec![1; datasets],
        };
        rival.verify().await?;
        Ok(rival)
    }

    /// So many updates on so many connections, each of which waits for its answer; fails unless
    /// exactly what was acknowledged is there afterwards.
    pub async fn turn(&mut self, connections: usize, updates: usize) -> Result<Sample> {
        let start = Arc::new(Barrier::new(connections + 1));
        let mut tasks = JoinSet::new();
        for number in 0..connections {
            let share = Share {
                link: self.kind.connect(self.process.port).await?,
                workload: Arc::clone(&self.workload),
                counts: self.counts[number..]
                    .iter()
                    .step_by(connections)
                    .copied()
                    .collect(),
                number,
                connections,
                dice: Dice::new(number),
            };
            let start = Arc::clone(&start);
            tasks.spawn(share.work(updates.div_ceil(connections), start));
        }
        // A task that failed never comes to the start.
        let mut ended = Vec::with_capacity(connections);
        tokio::select! {
            _ = start.wait() => {}
            Some(early) = tasks.join_next() => ended.push(early??),
        }
        let (began, client) = (Instant::now(), processor::of_this_process());
        let serving = self.processor()?;
        while let Some(task) = tasks.join_next().await {
            ended.push(task??);
        }
        let elapsed = began.elapsed();
        let mut latencies = Latencies::new()?;
        for (number, counts, of_one) in ended {
            latencies.add(&of_one)?;
            let mine = self.counts[number..].iter_mut().step_by(connections);
            for (count, reached) in mine.zip(counts) {
                *count = reached;
            }
        }
        let sample = Sample {
            elapsed,
            latencies,
            processor: processor::of_this_process().saturating_sub(client),
            server_processor: Some(self.processor()?.saturating_sub(serving)),
            written: None,
            totals: Totals::default(),
        };
        self.verify().await?;
        Ok(sample)
    }

    fn processor(&self) -> Result<Duration> {
        processor::of_family(self.process.pid())
    }

    /// Stops it, starts it again, and fails unless everything is as it was.
    pub async fn restart(mut self) -> Result<()> {
        self.process.stop()?;
        self.process =
            Process::start(self.kind, &self.program, &self.directory, self.connections).await?;
        self.verify().await?;
        self.process.stop()
    }

    async fn verify(&self) -> Result<()> {
        let mut link = self.kind.connect(self.process.port).await?;
        let seen = link.look(&self.workload).await?;
        let checked = seen.check(&self.workload, &self.counts);
        checked.map_err(|failure| format!("{}: {failure}", self.kind.name()).into())
    }
}

impl Seen {
    /// Fails unless it is what belongs to the counts.
    fn check(&self, workload: &Workload, counts: &[u64]) -> Result<()> {
        if self.rows.len() != counts.len() {
            let (found, wanted) = (self.rows.len(), counts.len());
            return fail(format!("{found} datasets are there, {wanted} were written"));
        }
        for (number, (row, &count)) in self.rows.iter().zip(counts).enumerate() {
            let value = workload.value(number, 0, count);
            if (row.count, row.record_count, &row.value) != (count, count, &value) {
                let dataset = &workload.datasets[number];
                return fail(format!(
                    "{dataset} is at {} with a record of {}, not {count}, or its value is not \
                     the last one",
                    row.count, row.record_count
                ));
            }
        }
        let datasets = counts.len() as u64;
        let wanted = (
            counts.iter().sum::<u64>(),
            datasets,
            datasets * (KEY.len() + VALUE_BYTES) as u64,
        );
        let found = (self.commits, self.datasets, self.bytes);
        if found != wanted {
            return fail(format!(
                "feed, datasets and bytes of the pool are {found:?}, not {wanted:?}"
            ));
        }
        Ok(())
    }
}

/// One connection and the datasets that are its own: those whose number leaves its own when divided
/// by the connections.
struct Share {
    link: Link,
    workload: Arc<Workload>,
    counts: Vec<u64>,
    number: usize,
    connections: usize,
    dice: Dice,
}

impl Share {
    async fn work(
        mut self,
        updates: usize,
        start: Arc<Barrier>,
    ) -> Result<(usize, Vec<u64>, Latencies)> {
        for _ in 0..WARM {
            self.update().await?;
        }
        start.wait().await;
        let mut latencies = Latencies::new()?;
        for _ in 0..updates {
            let began = Instant::now();
            self.update().await?;
            latencies.note(began.elapsed());
        }
        Ok((self.number, self.counts, latencies))
    }

    async fn update(&mut self) -> Result<()> {
        let at = self.dice.roll(self.counts.len());
        let count = &mut self.counts[at];
        let dataset = self.number + self.connections * at;
        let update = self.workload.update(dataset, *count);
        let reached = self.link.update(update).await?;
        if reached != *count + 1 {
            return fail(format!("an update led to {reached}, not {}", *count + 1));
        }
        *count = reached;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(workload: &Workload, counts: &[u64]) -> Seen {
        let row = |(number, &count): (usize, &u64)| Row {
            count,
            record_count: count,
            value: workload.value(number, 0, count),
        };
        Seen {
            rows: counts.iter().enumerate().map(row).collect(),
            commits: counts.iter().sum(),
            bytes: (counts.len() * (KEY.len() + VALUE_BYTES)) as u64,
            datasets: counts.len() as u64,
        }
    }

    #[test]
    fn whatever_is_not_as_it_was_acknowledged_is_found() {
        let workload = Workload::new(3, 1).unwrap();
        let counts = [4, 1, 7];
        let changed = |change: fn(&mut Seen)| {
            let mut seen = seen(&workload, &counts);
            change(&mut seen);
            seen.check(&workload, &counts).is_ok()
        };
        assert!(changed(|_| ()));
        assert!(!changed(|seen| seen.rows[1].count += 1));
        assert!(!changed(|seen| seen.rows[1].record_count += 1));
        assert!(!changed(|seen| seen.rows[2].value.replace_range(..1, "x")));
        assert!(!changed(|seen| seen.commits += 1));
        assert!(!changed(|seen| seen.bytes -= 1));
        assert!(!changed(|seen| seen.datasets += 1));
        assert!(!changed(|seen| drop(seen.rows.pop())));
    }
}
