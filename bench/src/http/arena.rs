//! The servers of a run, and their turns.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::{Beside, Sizes};
use crate::contestant::Totals;
use crate::failure::{Result, fail};
use crate::figure::{Sample, Series};
use crate::load::{self, Account, Answered, Pace, Plan};
use crate::rivals::Rival;
use crate::server::Server;
use crate::{processor, progress};

const SERVER: &str = "syncline serve";
const LOGGED: &str = "bare hyper + group log";
const ECHO: &str = "bare hyper echo";

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Durable updates.
    Update,
    /// Listings of what is new.
    List,
    /// A listing, and an update with its session token.
    Pair,
}

/// The real server and its data.
pub struct Arena {
    runtime: Runtime,
    account: Arc<Account>,
    server: Server,
    directory: PathBuf,
}

impl Arena {
    pub(super) fn open(binary: &Path, directory: &Path, sizes: &Sizes) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let server = Server::syncline(binary, directory)?;
        let account = runtime.block_on(Account::make(server.address, sizes.identities))?;
        Ok(Self {
            runtime,
            account: Arc::new(account),
            server,
            directory: directory.to_owned(),
        })
    }

    /// On which everything of this run waits.
    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A row of series for each number of connections, the real server's first. Servers of others
    /// take part in what they can do, which is to update.
    pub(super) fn measure(
        &self,
        work: Work,
        connections: &[usize],
        sizes: &Sizes,
        beside: &mut Beside,
    ) -> Result<Vec<Vec<Series>>> {
        let bare = self.bare(work, beside)?;
        let rivals = match work {
            Work::Update => &mut beside.rivals[..],
            Work::List | Work::Pair => &mut [],
        };
        let contestants = 1 + bare.len() + rivals.len();
        let bar = progress::bar("http", sizes.rounds * connections.len() * contestants);
        let mut rows = Vec::new();
        for &connections in connections {
            let names = std::iter::once(SERVER)
                .chain(bare.iter().map(|(name, _)| *name))
                .chain(rivals.iter().map(|rival| rival.kind.name()));
            let mut row: Vec<_> = names.map(|name| Series::new(name, connections)).collect();
            for _ in 0..sizes.rounds {
                bar.set_message(format!("{connections} connections"));
                let samples = self.round(work, connections, sizes, &bare, rivals, &bar)?;
                for (series, sample) in row.iter_mut().zip(samples) {
                    series.samples.push(sample);
                }
            }
            rows.push(row);
        }
        bar.finish_and_clear();
        Ok(rows)
    }

    /// The bare servers that were asked for and can do this.
    fn bare(&self, work: Work, beside: &Beside) -> Result<Vec<(&'static str, Server)>> {
        let bytes = self.equal_answer(work)?;
        let mut bare = Vec::new();
        if beside.log && work != Work::List {
            // Where an earlier one was, which has ended.
            let log = self.directory.join("group.log");
            if log.exists() {
                std::fs::remove_file(&log)?;
            }
            bare.push((LOGGED, Server::echo(bytes, Some(&log))?));
        }
        if beside.echo {
            bare.push((ECHO, Server::echo(bytes, None)?));
        }
        Ok(bare)
    }

    /// Everybody's turn, in the order of the row.
    fn round(
        &self,
        work: Work,
        connections: usize,
        sizes: &Sizes,
        bare: &[(&'static str, Server)],
        rivals: &mut [Rival],
        bar: &indicatif::ProgressBar,
    ) -> Result<Vec<Sample>> {
        let requests = sizes.requests(connections);
        let plan = self.plan(work, connections, requests)?;
        let blind = match work {
            Work::Pair => self
                .runtime
                .block_on(load::blind(&self.account, plan.clone()))?,
            Work::Update | Work::List => plan.clone(),
        };
        let mut samples = vec![self.serve(work, plan, Pace::Closed)?];
        bar.inc(1);
        for (_, server) in bare {
            samples.push(self.turn(server, blind.clone(), Pace::Closed)?);
            bar.inc(1);
        }
        for rival in rivals {
            let turn = rival.turn(connections, requests);
            samples.push(self.runtime.block_on(turn)?);
            bar.inc(1);
        }
        Ok(samples)
    }

    /// The server's updates at fixed rates, a series each.
    pub(super) fn measure_rates(
        &self,
        rates: &[u32],
        connections: usize,
        sizes: &Sizes,
    ) -> Result<Vec<Series>> {
        let bar = progress::bar("rates", sizes.rounds * rates.len());
        let mut all = Vec::new();
        for &rate in rates {
            let mut series = Series::new(SERVER, usize::try_from(rate)?);
            for _ in 0..sizes.rounds {
                let requests = sizes.requests(connections);
                let plan = self.plan(Work::Update, connections, requests)?;
                let pace = Pace::Fixed(f64::from(rate));
                series.samples.push(self.serve(Work::Update, plan, pace)?);
                bar.inc(1);
            }
            all.push(series);
        }
        bar.finish_and_clear();
        Ok(all)
    }

    fn plan(&self, work: Work, connections: usize, requests: usize) -> Result<Plan> {
        let account = &self.account;
        match work {
            Work::Update => self
                .runtime
                .block_on(load::plan(account, connections, requests)),
            Work::List => self
                .runtime
                .block_on(load::listings(account, connections, requests)),
            Work::Pair => load::pairs(account, connections, requests),
        }
    }

    fn counted(&self) -> Result<u64> {
        let counts = self.runtime.block_on(load::counts(&self.account))?;
        Ok(counts.iter().sum())
    }

    /// A turn of the server, which fails unless exactly what it acknowledged is there.
    fn serve(&self, work: Work, plan: Plan, pace: Pace) -> Result<Sample> {
        let before = self.counted()?;
        let sample = self.turn(&self.server, plan, pace)?;
        let rise = self.counted()? - before;
        let updated = match work {
            Work::Update | Work::Pair => sample.latencies.count(),
            Work::List => 0,
        };
        if rise != updated {
            return fail(format!(
                "{updated} updates were answered 200, counts rose by {rise}"
            ));
        }
        Ok(sample)
    }

    fn turn(&self, server: &Server, plan: Plan, pace: Pace) -> Result<Sample> {
        let (client, serving) = (processor::of_this_process(), server.processor()?);
        let run = load::run(&self.account, server.address, plan, pace);
        let Answered {
            elapsed, latencies, ..
        } = self.runtime.block_on(run)?;
        let spent = |now: Duration, before| now.saturating_sub(before);
        Ok(Sample {
            elapsed,
            latencies,
            processor: spent(processor::of_this_process(), client),
            server_processor: Some(spent(server.processor()?, serving)),
            written: None,
            totals: Totals::default(),
        })
    }

    /// Bytes of the body with which an echo's answer is as long as a real one, header block
    /// included; of a pair's two, the mean.
    fn equal_answer(&self, work: Work) -> Result<usize> {
        if work == Work::Pair {
            let both = self.equal_answer(Work::List)? + self.equal_answer(Work::Update)?;
            return Ok(both / 2);
        }
        let plan = self.plan(work, 1, 1)?;
        let bytes = |address, plan| {
            let run = load::run(&self.account, address, plan, Pace::Closed);
            self.runtime
                .block_on(run)
                .map(|answered| answered.answer_bytes)
        };
        let real = bytes(self.account.address, plan.clone())?;
        let bare = bytes(Server::echo(0, None)?.address, plan)?;
        // Two digits more in the length of the body.
        Ok(real.saturating_sub(bare + 2))
    }

    /// Stops the server, starts it again, and fails unless all counts are as they were.
    pub(super) fn restart(mut self, binary: &Path, directory: &Path) -> Result<()> {
        let before = self.runtime.block_on(load::counts(&self.account))?;
        self.server.stop()?;
        self.server = Server::syncline(binary, directory)?;
        let account = Arc::into_inner(self.account).ok_or("the account is still in use")?;
        let account = Arc::new(Account {
            address: self.server.address,
            ..account
        });
        let after = self.runtime.block_on(load::counts(&account))?;
        if before != after {
            return fail("the counts are not the same after a restart");
        }
        self.server.stop()
    }
}
