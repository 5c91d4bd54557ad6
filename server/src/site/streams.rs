//! The pools that stream, by the name of their stream: what their configurations say, kept in
//! memory and compared with what is stored.
//!
//! It follows the metadata and not those who write it, so nobody has to tell it: whoever changes a
//! configuration looks for streams afterwards, and once a second that is done anyway.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, PoisonError, RwLock};

use syncline_engine::{Error, MetadataKey, PoolId, Reader, Sequence};
use uuid::Uuid;

use super::Site;
use super::stored::{self, ConfigurationRecord, StreamRecord};

/// Keys that one step of the search takes.
const SCAN_KEYS: usize = 10_000;

/// A pool whose stream is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamingPool {
    /// The pool.
    pub pool: PoolId,
    /// The last commit before its stream.
    pub since: Sequence,
    /// When it was enabled, in milliseconds since 1970; 0 if that is not known.
    pub enabled_ms: u64,
}

/// All of them. Looking is cheap; a new search replaces the whole.
#[derive(Debug, Default)]
pub struct Streams {
    found: RwLock<Arc<Found>>,
    /// Held while one searches, so that nothing older replaces what is newer.
    turn: tokio::sync::Mutex<()>,
}

/// What a search found.
#[derive(Debug, Default)]
struct Found {
    /// The newest commit that it knows of.
    seen: Sequence,
    configurations: HashMap<Uuid, Known>,
    by_name: BTreeMap<String, Vec<StreamingPool>>,
}

/// A configuration that was read.
#[derive(Debug, Clone)]
struct Known {
    version: Sequence,
    /// The name of the stream, if it is in use.
    streams: Option<(String, StreamingPool)>,
}

impl Streams {
    fn found(&self) -> Arc<Found> {
        Arc::clone(&self.found.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Site {
    /// The pools of a stream, in their order; none if there is no such stream. Never reads the
    /// disk.
    #[must_use]
    pub fn pools_of_stream(&self, name: &str) -> Vec<StreamingPool> {
        let found = self.streams.found();
        let pools = found.by_name.get(name).into_iter().flatten();
        let alive = pools.filter(|pool| self.has_pool(pool.pool.as_str()));
        alive.cloned().collect()
    }

    /// The streams behind a name, in the order of their names, at most `limit`, and the pools of
    /// each. Never reads the disk.
    #[must_use]
    pub fn streams_after(
        &self,
        name: Option<&str>,
        limit: usize,
    ) -> Vec<(String, Vec<StreamingPool>)> {
        let found = self.streams.found();
        let behind = (name.map_or(Unbounded, Excluded), Unbounded);
        let names = found.by_name.range::<str, _>(behind).map(|(name, _)| name);
        let streams = names.map(|name| (name.clone(), self.pools_of_stream(name)));
        let alive = streams.filter(|(_, pools)| !pools.is_empty());
        alive.take(limit).collect()
    }

    /// Looks for pools that stream now. Cheap if nothing was committed since it last did.
    ///
    /// # Errors
    /// When a configuration cannot be read.
    pub async fn find_streams(&self) -> Result<(), Error> {
        let _turn = self.streams.turn.lock().await;
        let known = self.streams.found();
        if known.seen == self.store.engine().head().sequence {
            return Ok(());
        }
        let found = self.store.blocking(move |engine| {
            let seen = engine.head();
            search(&engine.reader(), seen.sequence, seen.store, &known)
        });
        let found = Arc::new(found.await?);
        *self
            .streams
            .found
            .write()
            .unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }
}

/// Reads the configurations that changed since the last search.
fn search(reader: &Reader<'_>, seen: Sequence, store: Uuid, known: &Found) -> Result<Found, Error> {
    let mut configurations = HashMap::new();
    let mut after = None;
    loop {
        let keys = reader.scan_keys(&[stored::CONFIGURATION], after.as_ref(), SCAN_KEYS);
        let Some((last, _)) = keys.last() else {
            break;
        };
        after = Some(last.clone());
        for (key, version) in keys {
            let Some(pool) = stored::first_uuid(&key) else {
                continue;
            };
            let same = known
                .configurations
                .get(&pool)
                .filter(|known| known.version == version);
            let read = match same {
                Some(known) => Some(known.clone()),
                None => read(reader, &key, pool, store)?,
            };
            configurations.extend(read.map(|known| (pool, known)));
        }
    }
    let mut by_name: BTreeMap<String, Vec<StreamingPool>> = BTreeMap::new();
    for (name, pool) in configurations
        .values()
        .filter_map(|known| known.streams.clone())
    {
        by_name.entry(name).or_default().push(pool);
    }
    for pools in by_name.values_mut() {
        pools.sort_unstable_by_key(|pool| pool.pool);
    }
    Ok(Found {
        seen,
        configurations,
        by_name,
    })
}

/// One configuration; `None` if it or its pool is gone.
fn read(
    reader: &Reader<'_>,
    key: &MetadataKey,
    uuid: Uuid,
    store: Uuid,
) -> Result<Option<Known>, Error> {
    let Some(metadata) = reader.metadata(key)? else {
        return Ok(None);
    };
    let Some(pool) = stored::find_pool(reader, uuid) else {
        return Ok(None);
    };
    let mut known = Known {
        version: metadata.version,
        streams: None,
    };
    let configuration = match stored::decode::<ConfigurationRecord>(&metadata) {
        Ok(configuration) => configuration,
        // Whoever asks for it is told; other pools go on.
        Err(error) => {
            tracing::error!("looking for streams: {error}; its pool does not stream");
            return Ok(Some(known));
        }
    };
    let name = configuration
        .streaming()
        .and_then(|streams| streams.name.clone());
    if let Some(name) = name {
        let pool = PoolId::parse(&pool.to_string())?;
        known.streams = Some((name, beginning(reader, pool, uuid, store)?));
    }
    Ok(Some(known))
}

/// Where the stream of a pool begins: with all that the feed holds, if nothing else is known.
fn beginning(
    reader: &Reader<'_>,
    pool: PoolId,
    uuid: Uuid,
    store: Uuid,
) -> Result<StreamingPool, Error> {
    let metadata = reader.metadata(&stored::stream_key(uuid))?;
    let record = metadata.and_then(|metadata| {
        let decoded = stored::decode::<StreamRecord>(&metadata);
        decoded
            .inspect_err(|error| tracing::error!("looking for streams: {error}"))
            .ok()
    });
    let record = record.unwrap_or_default();
    let is_here = Uuid::from_bytes(record.store) == store;
    let since = if is_here { record.since } else { 0 };
    Ok(StreamingPool {
        pool,
        since: Sequence::new(since),
        enabled_ms: record.enabled_ms,
    })
}
