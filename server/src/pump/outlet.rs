//! One stream of the configuration, as all pools that name it share it.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::Config;
use crate::metrics::{StreamCounters, StreamTally};
use crate::sink::{Aside, PutError, Sink};

/// Pools of one stream that deliver at the same time. Each has at most what it took of the window
/// and one batch in memory.
const DELIVERING_MAX: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Outlet {
    /// The name in the configuration.
    pub(super) name: String,
    /// Where its events go.
    pub(super) sink: Sink,
    /// Where those go that the sink refuses.
    pub(super) aside: Aside,
    /// What is counted of it.
    pub(super) tally: StreamTally,
    /// Room for those that deliver.
    pub(super) room: Arc<Semaphore>,
}

impl Outlet {
    /// The outlets of all streams, in the order of their names.
    ///
    /// # Errors
    /// The first stream that cannot be one, with its name.
    pub(super) fn all(
        config: &Config,
        counters: &StreamCounters,
    ) -> Result<Vec<Self>, (String, PutError)> {
        let outlets = config.streams.iter().map(|(name, stream)| {
            let sink = Sink::new(name, stream).map_err(|error| (name.clone(), error))?;
            Ok(Self {
                name: name.clone(),
                sink,
                aside: Aside::new(&config.data, name),
                tally: counters.of(name),
                room: Arc::new(Semaphore::new(DELIVERING_MAX)),
            })
        });
        outlets.collect()
    }
}
