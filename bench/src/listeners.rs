//! `listeners`: event streams of a server while datasets change, and messages to devices: how soon
//! each arrives, and what a listener takes of memory.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::arguments::Shared;
use crate::failure::Result;
use crate::load::{Account, Written};
use crate::machine::Machine;
use crate::scratch::Scratch;
use crate::server::Server;
use crate::{processor, progress, report, server};

mod delay;
mod descriptors;
mod devices;
pub mod options;
mod receiver;
mod stream;
mod updates;

use delay::{Arrivals, Delays};
use options::ListenerOptions;
use receiver::Receiver;
use stream::Stream;
use updates::Pace;

/// Longest time without an arrival while some are missing.
const PATIENCE: Duration = Duration::from_secs(60);
/// Devices that are told; their datasets take turns, so that none changes again before its message
/// has gone.
const DEVICES: usize = 500;

#[derive(Serialize)]
struct Outcome {
    listeners: usize,
    /// What each adds to the server's resident memory while nothing changes, connection included.
    listener_bytes: u64,
    /// Updates a second that were asked for.
    rate: f64,
    events: Told,
    devices: usize,
    messages: Told,
}

/// What arrived of updates.
#[derive(Serialize)]
struct Told {
    updates: usize,
    /// Updates a second that there were.
    per_second: f64,
    /// From the moment in which a client has the answer to its update.
    after_answer: Delays,
    /// From the moment in which it sends it.
    after_sending: Delays,
}

/// The same as one of several measurements: where too few files may be open for it, that is said,
/// and the others go on.
pub fn run_if_possible(
    shared: &Shared,
    machine: &Machine,
    options: &ListenerOptions,
) -> Result<()> {
    match descriptors::reserve(options.listeners(shared.quick)) {
        Ok(()) => run(shared, machine, options),
        Err(why) => report::lines(&[format!("listeners are not measured: {why}")]),
    }
}

pub fn run(shared: &Shared, machine: &Machine, options: &ListenerOptions) -> Result<()> {
    let listeners = options.listeners(shared.quick);
    descriptors::reserve(listeners)?;
    let scratch = Scratch::new(&shared.data, "listeners")?;
    let binary = server::binary(shared.server.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (tell, arrivals) = mpsc::unbounded_channel();
    let receiver = runtime.block_on(Receiver::start(tell))?;
    let settings = devices::settings(receiver.address, listeners);
    let data = scratch.path().join("data");
    let server = Server::configured(&binary, scratch.path(), &data, &settings)?;
    let account = runtime.block_on(Account::make(server.address, listeners))?;
    let account = Arc::new(account);
    let pace = Pace {
        rate: options.listener_rate,
        time: options.time(shared.quick),
    };
    let (listener_bytes, events) = events(&runtime, &server, &account, pace)?;
    let devices = DEVICES.min(listeners);
    let messages = runtime.block_on(async {
        receiver.knows(devices::register(&account, devices).await?);
        told(&account, devices, pace, Arrivals::new(arrivals)).await
    })?;
    server.stop()?;
    let outcome = Outcome {
        listeners,
        listener_bytes,
        rate: pace.rate,
        events,
        devices,
        messages,
    };
    outcome.tell()?;
    report::file(&shared.report, "listeners", machine, json!(outcome))
}

/// One stream for each dataset: what each takes, and when changes arrive on it.
fn events(
    runtime: &Runtime,
    server: &Server,
    account: &Arc<Account>,
    pace: Pace,
) -> Result<(u64, Told)> {
    let resident = || processor::memory_of_process(server.pid(), "VmRSS");
    let listeners = account.datasets.len();
    let before = resident()?;
    let (tell, arrivals) = mpsc::unbounded_channel();
    let bar = progress::bar("listeners", listeners);
    let mut streams = Vec::with_capacity(listeners);
    for dataset in 0..listeners {
        streams.push(runtime.block_on(Stream::open(account, dataset))?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let each = resident()?.saturating_sub(before) / listeners as u64;
    let told = runtime.block_on(async {
        let mut reading = tokio::task::JoinSet::new();
        for stream in streams {
            reading.spawn(stream.tell(tell.clone()));
        }
        told(account, listeners, pace, Arrivals::new(arrivals)).await
    })?;
    Ok((each, told))
}

/// Updates the first so many datasets at a pace, and waits until all of that has arrived.
async fn told(
    account: &Arc<Account>,
    datasets: usize,
    pace: Pace,
    arrivals: Arrivals,
) -> Result<Told> {
    let (written, elapsed) = updates::run(account, datasets, pace).await?;
    let arrived = arrivals.of(&written).await?;
    let since = |from: fn(&Written) -> std::time::Instant| {
        let pairs = written.iter().zip(&arrived);
        Delays::of(pairs.map(|(written, at)| at.saturating_duration_since(from(written))))
    };
    Ok(Told {
        updates: written.len(),
        per_second: written.len() as f64 / elapsed.as_secs_f64(),
        after_answer: since(|written| written.answered)?,
        after_sending: since(|written| written.sent)?,
    })
}

impl Outcome {
    fn tell(&self) -> Result<()> {
        let kib = self.listener_bytes as f64 / 1024.0;
        let title = format!(
            "{} listeners, {kib:.1} KiB each, and {} devices, at {} updates a second: until it \
             arrives, in milliseconds",
            self.listeners, self.devices, self.rate
        );
        let row = |what: &str, delays: &Delays| {
            let all = [delays.p50_us, delays.p99_us, delays.p999_us, delays.most_us];
            let all = all.map(|us| format!("{:.2}", us / 1000.0));
            [vec![what.to_owned()], all.to_vec()].concat()
        };
        report::table(
            &title,
            &["", "p50", "p99", "p99.9", "most"],
            &[
                row("event, after the answer", &self.events.after_answer),
                row("event, after the sending", &self.events.after_sending),
                row("push, after the answer", &self.messages.after_answer),
                row("push, after the sending", &self.messages.after_sending),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn asked(option: &str, value: &str) -> std::result::Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["syncline-bench", "listeners", option, value])
    }

    #[test]
    fn too_few_open_files_end_only_this_measurement() {
        let Arguments { shared, command } = asked("--listeners", "1099511627776").unwrap();
        let Command::Listeners(options) = command else {
            panic!("another command");
        };
        let machine = Machine::new(&shared.data, &shared.build);
        run_if_possible(&shared, &machine, &options).unwrap();
        assert!(run(&shared, &machine, &options).is_err());
    }

    #[test]
    fn a_time_that_there_cannot_be_is_refused() {
        for value in ["-1", "0", "NaN", "inf", "86401", "x"] {
            let refused = asked("--listener-seconds", value).err().unwrap();
            assert!(refused.to_string().contains("more than 0"), "{refused}");
        }
        assert!(asked("--listener-seconds", "0.3").is_ok());
    }
}
