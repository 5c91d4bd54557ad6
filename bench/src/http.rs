//! `http`: durable signed updates per second over HTTP, beside a bare echo of equal answers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Runtime;

use crate::arguments::{HttpOptions, Shared};
use crate::contestant::Totals;
use crate::failure::{Result, fail};
use crate::figure::{Sample, Series};
use crate::load::{self, Account, Answered, Plan};
use crate::machine::Machine;
use crate::scratch::Scratch;
use crate::server::Server;
use crate::workload::VALUE_BYTES;
use crate::{processor, progress, report, server};

const SERVER: &str = "syncline serve";
const ECHO: &str = "bare hyper echo";
/// From so many connections on, a measurement has all of its updates.
const CONNECTIONS_FOR_ALL: usize = 16;

/// Sizes after defaults.
struct Sizes {
    identities: usize,
    updates: usize,
    rounds: usize,
}

/// The servers of a run.
struct Arena {
    runtime: Runtime,
    account: Arc<Account>,
    server: Server,
    echo: Server,
}

impl Sizes {
    fn new(shared: &Shared, options: &HttpOptions) -> Self {
        Self {
            identities: options.identities.unwrap_or(1000),
            updates: options
                .updates
                .unwrap_or(if shared.quick { 8_000 } else { 40_000 }),
            rounds: options
                .rounds
                .map_or(if shared.quick { 3 } else { 5 }, |rounds| {
                    usize::from(rounds.get())
                }),
        }
    }

    /// Few connections take longer for each update, so they get fewer.
    fn updates(&self, connections: usize) -> usize {
        (self.updates * connections.min(CONNECTIONS_FOR_ALL) / CONNECTIONS_FOR_ALL).max(connections)
    }
}

pub fn run(shared: &Shared, machine: &Machine, options: &HttpOptions) -> Result<()> {
    let sizes = Sizes::new(shared, options);
    let scratch = Scratch::new(&shared.data, "http")?;
    let binary = server::binary(options.server.as_deref())?;
    let arena = Arena::open(&binary, scratch.path(), &sizes)?;
    let series = arena.measure(&options.connections, &sizes)?;
    arena.restart(&binary, scratch.path())?;
    let figures = series
        .iter()
        .map(Series::figure)
        .collect::<Result<Vec<_>>>()?;
    let pairs = series.chunks_exact(2);
    let ratios: Vec<_> = pairs.map(|pair| pair[0].to(&pair[1])).collect();
    let workload = format!(
        "UpdateRecords of 1 record of {VALUE_BYTES} bytes, signed, on keep-alive connections; {} \
         identities with one dataset each, chosen uniformly; {} rounds; client, server and echo \
         share the machine; counts rose by exactly the number \
         of 200s and were the same after a restart",
        sizes.identities, sizes.rounds
    );
    report::comparison(&workload, "connections", &figures, &ratios)?;
    let results = json!({ "workload": workload, "figures": figures, "ratios": ratios });
    report::file(&shared.report, "http", machine, results)
}

impl Arena {
    fn open(binary: &Path, directory: &Path, sizes: &Sizes) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let server = Server::syncline(binary, directory)?;
        let account = runtime.block_on(Account::make(server.address, sizes.identities))?;
        let account = Arc::new(account);
        let answer_bytes = runtime.block_on(equal_answer(&account))?;
        let echo = Server::echo(answer_bytes)?;
        Ok(Self {
            runtime,
            account,
            server,
            echo,
        })
    }

    /// Series in pairs: the server, then the echo.
    fn measure(&self, connections: &[usize], sizes: &Sizes) -> Result<Vec<Series>> {
        let bar = progress::bar("http", sizes.rounds * connections.len() * 2);
        let mut all = Vec::new();
        for &connections in connections {
            let mut pair = [
                Series::new(SERVER, connections),
                Series::new(ECHO, connections),
            ];
            for _ in 0..sizes.rounds {
                bar.set_message(format!("tokens for {connections} connections"));
                let updates = sizes.updates(connections);
                let plan = load::plan(&self.account, connections, updates);
                let plan = self.runtime.block_on(plan)?;
                bar.set_message(format!("{SERVER}, {connections} connections"));
                pair[0].samples.push(self.serve(plan.clone())?);
                bar.inc(1);
                bar.set_message(format!("{ECHO}, {connections} connections"));
                pair[1].samples.push(self.turn(&self.echo, plan)?);
                bar.inc(1);
            }
            all.extend(pair);
        }
        bar.finish_and_clear();
        Ok(all)
    }

    /// A turn of the server, which fails unless exactly what it acknowledged is there.
    fn serve(&self, plan: Plan) -> Result<Sample> {
        let before: u64 = self
            .runtime
            .block_on(load::counts(&self.account))?
            .iter()
            .sum();
        let sample = self.turn(&self.server, plan)?;
        let after: u64 = self
            .runtime
            .block_on(load::counts(&self.account))?
            .iter()
            .sum();
        let answered = sample.latencies.count();
        if after - before != answered {
            let rise = after - before;
            return fail(format!(
                "{answered} updates were answered 200, counts rose by {rise}"
            ));
        }
        Ok(sample)
    }

    fn turn(&self, server: &Server, plan: Plan) -> Result<Sample> {
        let (client, serving) = (processor::of_this_process(), server.processor()?);
        let run = load::run(&self.account, server.address, plan);
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
}

impl Arena {
    /// Stops the server, starts it again, and fails unless all counts are as they were.
    fn restart(mut self, binary: &Path, directory: &Path) -> Result<()> {
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

/// Bytes of the body with which an echo's answer is as long as a real one, header block included.
async fn equal_answer(account: &Arc<Account>) -> Result<usize> {
    let plan = load::plan(account, 1, 1).await?;
    let real = load::run(account, account.address, plan.clone())
        .await?
        .answer_bytes;
    let empty = Server::echo(0)?;
    let bare = load::run(account, empty.address, plan).await?.answer_bytes;
    // Two digits more in the length of the body.
    Ok(real.saturating_sub(bare + 2))
}
