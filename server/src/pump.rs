//! Delivers streams: every change of a pool whose CognitoStreams are enabled, to the sink that the
//! configuration has for its StreamName.
//!
//! Each event arrives at least once, those of an identity in order; a repeat has the same id. Each
//! pool goes its own way, so that a sink that takes nothing holds up nobody else, but the log is
//! read once for all of them. Nothing here stands in the way of a request: what a sink has not got
//! stays in the log.

mod disabling;
mod lane;
mod outlet;
mod phase;
mod place;
mod publish;
mod trouble;
mod window;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use syncline_engine::PoolId;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use crate::error::Chain;
use crate::sink::PutError;
use crate::site::{Site, StreamingPool};
use lane::Lane;
use outlet::Outlet;
use phase::{Phase, Phases, phases};
use window::Window;

/// How often it is looked whether some pool streams that did not, or the other way round, beside
/// being told.
const LOOKING_PERIOD: Duration = Duration::from_secs(1);
/// How long after it failed to begin or to go on a pool's stream is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How long what is under way may take when the server stops; then the places are stored. Part of
/// the time in which the store is closed.
const FLUSH: Duration = Duration::from_millis(400);

/// A stream of the configuration that cannot be one.
#[derive(Debug, Error)]
#[error("the stream {name:?} cannot be used")]
pub struct PumpError {
    name: String,
    #[source]
    source: PutError,
}

/// Everything that delivers. Nothing is delivered before [`Pump::run`].
pub struct Pump {
    site: Arc<Site>,
    window: Arc<Window>,
    outlets: BTreeMap<String, Arc<Outlet>>,
    lanes: HashMap<PoolId, Running>,
    jobs: HashMap<Uuid, JoinHandle<()>>,
}

/// Why a pool's stream ends.
#[derive(Debug)]
enum End {
    /// It was told to.
    Told,
    /// The pool is gone.
    Gone,
    /// Somebody else changed its place.
    Changed,
    /// It must not go on as if nothing had been: it is disabled, with this reason.
    Broken(String),
    /// Something is wrong with the store.
    Fault(String),
}

/// A lane that runs.
struct Running {
    name: String,
    enabled_ms: u64,
    say: watch::Sender<Phase>,
    task: JoinHandle<()>,
}

impl Pump {
    /// A pump for the streams of the configuration.
    ///
    /// # Errors
    /// The first stream that cannot be one.
    pub fn new(site: Arc<Site>) -> Result<Self, PumpError> {
        let outlets = Outlet::all(&site.config, &site.outflow.counters)
            .map_err(|(name, source)| PumpError { name, source })?;
        let outlets = outlets.into_iter().map(Arc::new);
        let outlets = outlets
            .map(|outlet| (outlet.name.clone(), outlet))
            .collect();
        let read = site.outflow.counters.read_for_all.clone();
        Ok(Self {
            window: Arc::new(Window::new(site.store.engine().clone(), read)),
            site,
            outlets,
            lanes: HashMap::new(),
            jobs: HashMap::new(),
        })
    }

    /// Delivers until it is told to stop. Then what is under way may end for a moment, and how far
    /// everything is is stored.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let (say, heard) = phases();
        let mut reading = self.read(&heard);
        loop {
            if reading.is_finished() {
                tracing::error!("who reads the log for streams ended, and is begun again");
                self.window.jump();
                reading = self.read(&heard);
            }
            let found = self.site.find_streams().await;
            self.follow_streams().await;
            match found {
                // A lane that ends with a fault is begun again, and the log kept for it meanwhile.
                Ok(()) => {
                    let holds = &self.site.outflow.holds;
                    holds.retain(|pool| self.lanes.contains_key(pool));
                }
                Err(error) => tracing::error!("looking for streams: {}", Chain(&error)),
            }
            self.follow_publishes(&heard).await;
            tokio::select! {
                () = self.site.outflow.touched() => {}
                () = tokio::time::sleep(LOOKING_PERIOD) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        // A bulk publish goes on with the next start, wherever it is.
        say.send_replace(Phase::Flush);
        self.say(Phase::Flush);
        let mut tasks: JoinSet<()> = JoinSet::new();
        let mut says = Vec::new();
        for running in std::mem::take(&mut self.lanes).into_values() {
            says.push(running.say);
            tasks.spawn(joined(running.task));
        }
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FLUSH, all).await.is_err() {
            for lane in &says {
                lane.send_replace(Phase::Stop);
            }
            while tasks.join_next().await.is_some() {}
        }
        say.send_replace(Phase::Stop);
        for job in std::mem::take(&mut self.jobs).into_values() {
            joined(job).await;
        }
        joined(reading).await;
    }

    /// Reads the log for all lanes.
    fn read(&self, phases: &Phases) -> JoinHandle<()> {
        let (window, phases) = (Arc::clone(&self.window), phases.clone());
        tokio::spawn(async move { window.run(phases).await })
    }

    fn say(&self, phase: Phase) {
        for lane in self.lanes.values() {
            lane.say.send_replace(phase);
        }
    }

    /// Begins and ends lanes as the configurations of the pools have it.
    async fn follow_streams(&mut self) {
        let mut wanted = HashMap::new();
        for (name, outlet) in &self.outlets {
            for pool in self.site.pools_of_stream(name) {
                wanted.insert(pool.pool, (pool, Arc::clone(outlet)));
            }
        }
        let other = |pool: &PoolId, running: &Running| {
            let wanted = wanted.get(pool);
            !wanted.is_some_and(|(pool, outlet)| {
                pool.enabled_ms == running.enabled_ms && outlet.name == running.name
            })
        };
        let ended: Vec<PoolId> = self
            .lanes
            .iter()
            .filter(|(pool, running)| running.task.is_finished() || other(pool, running))
            .map(|(pool, _)| *pool)
            .collect();
        for pool in ended {
            if let Some(running) = self.lanes.remove(&pool) {
                running.say.send_replace(Phase::Stop);
                // It holds the place until it ends, which is at once.
                joined(running.task).await;
            }
        }
        for (pool, (streaming, outlet)) in wanted {
            if !self.lanes.contains_key(&pool) {
                self.lanes.insert(pool, self.begin(streaming, outlet));
            }
        }
    }

    fn begin(&self, streaming: StreamingPool, outlet: Arc<Outlet>) -> Running {
        let (say, heard) = phases();
        let (name, enabled_ms) = (outlet.name.clone(), streaming.enabled_ms);
        let (site, window) = (Arc::clone(&self.site), Arc::clone(&self.window));
        let task = tokio::spawn(follow(site, window, outlet, streaming, heard));
        Running {
            name,
            enabled_ms,
            say,
            task,
        }
    }

    /// Goes on with bulk publishes that are under way.
    async fn follow_publishes(&mut self, phases: &Phases) {
        self.jobs.retain(|_, job| !job.is_finished());
        let running = publish::under_way(&self.site).await;
        for pool in running {
            if !self.jobs.contains_key(&pool.uuid) {
                let uuid = pool.uuid;
                let (site, phases) = (Arc::clone(&self.site), phases.clone());
                let job = tokio::spawn(publish::run(site, pool, phases));
                self.jobs.insert(uuid, job);
            }
        }
    }
}

/// Delivers the stream of a pool until it is told to end, or for good.
async fn follow(
    site: Arc<Site>,
    window: Arc<Window>,
    outlet: Arc<Outlet>,
    streaming: StreamingPool,
    mut phases: Phases,
) {
    let (pool, name) = (streaming.pool, outlet.name.clone());
    let takes = site.config.streams.get(&name);
    let takes = takes.is_some_and(|stream| stream.takes(pool.as_str()));
    let open = Lane::open(
        Arc::clone(&site),
        window,
        Arc::clone(&outlet),
        &streaming,
        phases.clone(),
    );
    let end = if takes {
        match open.await {
            Ok(lane) => lane.run().await,
            Err(end) => end,
        }
    } else {
        End::Broken(format!(
            "The stream {name} does not take this identity pool any more: pools of \
             [streams.{name}] in the server's configuration must name it"
        ))
    };
    match end {
        End::Told | End::Gone | End::Changed => {
            tracing::info!(%pool, stream = name, "not streaming any more");
        }
        End::Broken(reason) => {
            outlet.tally.disabled.inc();
            disabling::disable(&site, &streaming, &name, &reason, phases).await;
        }
        End::Fault(reason) => {
            tracing::error!(%pool, stream = name, "the stream is tried again soon: {reason}");
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = phases.flushing() => {}
            }
        }
    }
}

/// Waits for a task. One that panicked is in the log already; what it did is begun again.
async fn joined(task: JoinHandle<()>) {
    let _ = task.await;
}

#[cfg(test)]
mod tests;
