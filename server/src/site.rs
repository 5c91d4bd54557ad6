//! Everything that one operation may use: the store, the configuration, the keys, the sessions,
//! the limits on guests, and the clock.
//!
//! What is counted in memory is rebuilt here at start, so nothing is served before it is right.

mod consumers;
mod counts;
mod developers;
mod doomed;
mod doors;
mod holds;
mod links;
pub mod merged;
mod outflow;
mod store;
pub mod stored;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use syncline_engine::{Cursor, Engine, Error, Proposal, Refusal, Timestamp, Wish};
use syncline_engine::{Expected, MetadataKey};
use tokio::sync::watch;

use crate::access::DeveloperKeys;
use crate::config::{CREDENTIALS_FILE, Config, RootKey};
use crate::error::{ApiError, Chain};
use crate::guests::Guests;
use crate::live::Live;
use crate::metrics::PushFigures;
use crate::providers::Providers;
use crate::realm::Realm;
use crate::seal::{KEYS_FILE, Keys};
use crate::session::{self, Spent};
use crate::trigger::Triggers;

pub use consumers::{Reads, is_consumer, is_consumer_of};
pub use counts::Counts;
pub use doors::Doors;
pub use holds::{Holds, name_of};
pub use links::LINKS;
pub use outflow::Outflow;
pub use store::{Store, StoreLimits};
pub use streams::{StreamingPool, Streams};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Files beside the store that belong to it: without the keys nothing sealed can be read.
pub const FILES: [&str; 2] = [KEYS_FILE, CREDENTIALS_FILE];
/// How often the site is tended.
const TENDING_PERIOD: Duration = Duration::from_secs(1);
/// Counts that are stored in one go.
const COUNTS_AT_ONCE: usize = 1000;
/// Keys that one scan at start takes.
const SCAN_KEYS: usize = 10_000;

/// See the module.
pub struct Site {
    /// The engine, behind the door through which it may block.
    pub store: Store,
    /// What the operator decided.
    pub config: Arc<Config>,
    /// The keys that seal.
    pub keys: Keys,
    /// The developer's key.
    pub root: RootKey,
    /// Developers' keys beside it.
    pub developers: DeveloperKeys,
    /// Providers whose users may sign in.
    pub providers: Providers,
    /// Spent sync sessions.
    pub sessions: Arc<Spent>,
    /// Counts of identities, and the rate of guests.
    pub guests: Arc<Guests>,
    /// Counts of sync sessions.
    pub counts: Counts,
    /// What those who deliver streams are told, and what is counted of them.
    pub outflow: Outflow,
    /// Pools that stream.
    pub streams: Streams,
    /// Functions that are asked before records are stored.
    pub triggers: Triggers,
    /// Who listens for changes.
    pub live: Live,
    /// What is counted of push messages.
    pub push: PushFigures,
    clock: Clock,
}

impl Site {
    /// Puts a site together and rebuilds what it counts in memory. Blocks on the disk. `holds` are
    /// of the engine, found before anything that takes long.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(
        engine: Engine,
        holds: Holds,
        config: Arc<Config>,
        keys: Keys,
        root: RootKey,
        clock: Clock,
    ) -> Result<Arc<Self>, Error> {
        let developers = developers::load(&engine, &keys)?;
        let limits = &config.limits;
        let guests = Guests::new(
            limits.guest_identities_per_second,
            limits.identities_per_pool,
        );
        let site = Self {
            push: PushFigures::default(),
            live: Live::new(engine.clone(), limits.listeners, limits.pool_listeners()),
            store: Store::new(engine, StoreLimits::default()),
            providers: Providers::new(&config.openid),
            // Every record comes twice, with its old value and its new one.
            triggers: Triggers::new(&config.functions, 2 * config.body_bytes_max()),
            config,
            keys,
            root,
            developers,
            sessions: Spent::new(session::SPENT_MAX),
            guests,
            counts: Counts::default(),
            outflow: Outflow::new(holds),
            streams: Streams::default(),
            clock,
        };
        site.count_identities();
        site.load_counts()?;
        site.recall_sessions()?;
        Ok(Arc::new(site))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Where this server's resources are.
    #[must_use]
    pub fn realm(&self) -> Realm<'_> {
        Realm {
            region: &self.config.region,
            account: &self.config.account_id,
        }
    }

    /// Whether a pool exists. Never reads the disk.
    #[must_use]
    pub fn has_pool(&self, pool: &str) -> bool {
        stored::Id::parse(pool).is_some_and(|pool| self.has(&stored::pool_key(&pool)))
    }

    /// Whether an identity exists in a pool that exists. Never reads the disk.
    #[must_use]
    pub fn has_identity(&self, pool: &str, identity: &str) -> bool {
        let (Some(pool), Some(identity)) = (stored::Id::parse(pool), stored::Id::parse(identity))
        else {
            return false;
        };
        pool.region == identity.region
            && self.has(&stored::pool_key(&pool))
            && self.has(&stored::identity_key(pool.uuid, identity.uuid))
    }

    fn has(&self, key: &MetadataKey) -> bool {
        self.store
            .engine()
            .resident_reader()
            .metadata_version(key)
            .is_some()
    }

    /// The record under a metadata key, with its version.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub async fn load<T: bincode::Decode<()>>(
        &self,
        key: MetadataKey,
    ) -> Result<Option<(T, syncline_engine::Sequence)>, ApiError> {
        let found = self.store.read(move |reader| reader.metadata(&key)).await?;
        let Some(metadata) = found else {
            return Ok(None);
        };
        match stored::decode(&metadata) {
            Ok(record) => Ok(Some((record, metadata.version))),
            Err(error) => Err(ApiError::fault("reading metadata", &error)),
        }
    }

    /// Stores counts that changed and goes on with deletions, once a second, until told to stop.
    pub async fn tend(&self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(TENDING_PERIOD) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            self.store_counts().await;
            self.pass();
            if let Err(error) = self.find_streams().await {
                tracing::error!("looking for streams: {}", Chain(&error));
            }
            self.finish_deletions(|| *stop.borrow()).await;
        }
    }

    /// Lets go of what the log is not kept for any more.
    pub fn pass(&self) {
        let (engine, now_ms) = (self.store.engine(), self.now().get());
        self.outflow.holds.links().pass(engine, now_ms);
        self.outflow.holds.consumers().pass(engine, now_ms);
    }

    /// Stores counts that changed. They are statistics: a failure is logged, and the next round
    /// tries again.
    pub async fn store_counts(&self) {
        let changes = self.counts.changed();
        for changes in changes.chunks(COUNTS_AT_ONCE) {
            let proposals = changes.iter().map(count_proposal).collect();
            let answers = match self.store.commit_all(proposals).await {
                Ok(answers) => answers,
                Err(error) => vec![Err(error)],
            };
            for (change, answer) in changes.iter().zip(answers) {
                match answer {
                    Ok(_) => self.counts.stored(change),
                    Err(Error::Refusal(Refusal::Unexpected { .. })) => {
                        self.counts.forget(change.pool);
                    }
                    Err(error) => {
                        tracing::warn!("storing the counts of sessions: {}", Chain(&error));
                        return;
                    }
                }
            }
        }
    }

    /// Stores what is counted and closes the store. Blocks no async thread.
    ///
    /// # Errors
    /// When the store cannot be closed cleanly; nothing that was answered is lost by that.
    pub async fn close(&self) -> Result<(), Error> {
        self.store_counts().await;
        let engine = self.store.engine().clone();
        match tokio::task::spawn_blocking(move || engine.close()).await {
            Ok(closed) => closed,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }

    fn count_identities(&self) {
        for key in self.keys_of(stored::IDENTITY) {
            if let Some(pool) = stored::first_uuid(&key) {
                self.guests.found(pool);
            }
        }
    }

    fn load_counts(&self) -> Result<(), Error> {
        for pool_key in self.keys_of(stored::POOL) {
            let Some(pool) = stored::pool_of(&pool_key) else {
                continue;
            };
            let reader = self.store.engine().reader();
            let Some(found) = reader.metadata(&stored::sessions_key(pool.uuid))? else {
                continue;
            };
            match stored::decode::<stored::SessionsRecord>(&found) {
                Ok(record) => self.counts.load(pool.uuid, pool_key, record.opened),
                // A statistic is no reason not to start.
                Err(error) => tracing::warn!("{error}; counting its sessions from 0"),
            }
        }
        Ok(())
    }

    /// Sessions spent within the life of a token, from the notes of the commits that spent them.
    fn recall_sessions(&self) -> Result<(), Error> {
        let engine = self.store.engine();
        let since = self.now().get().saturating_sub(session::LIFE_MS);
        let cursor = engine.cursor_before(Timestamp::new(since).map_err(Error::from)?);
        let mut feed = engine.feed(cursor)?;
        loop {
            let commits = match feed.read() {
                // Where the log begins later, it tells less: what was spent before is refused by
                // the counts of the records.
                Err(Error::Refusal(Refusal::CursorTooOld { floor })) => {
                    feed = engine.feed(Cursor {
                        store: cursor.store,
                        sequence: floor,
                    })?;
                    continue;
                }
                commits => commits?,
            };
            if commits.is_empty() {
                return Ok(());
            }
            for commit in commits {
                if let Some(session) = session::session_of(commit.note.as_bytes()) {
                    let (sequence, time) = (commit.cursor.sequence, commit.time);
                    self.sessions.insert(session, sequence, time.get());
                }
            }
        }
    }

    fn keys_of(&self, kind: u8) -> impl Iterator<Item = MetadataKey> + '_ {
        let mut after = None;
        std::iter::from_fn(move || {
            let reader = self.store.engine().reader();
            let keys = reader.scan_keys(&[kind], after.as_ref(), SCAN_KEYS);
            after = Some(keys.last()?.0.clone());
            Some(keys.into_iter().map(|(key, _)| key))
        })
        .flatten()
    }
}

/// What stores a count.
fn count_proposal(change: &counts::Changed) -> Proposal {
    let record = stored::SessionsRecord {
        opened: change.opened,
    };
    let value = stored::encode(&record).expect("a number is not too large for a value");
    let key = stored::sessions_key(change.pool);
    Proposal {
        // A pool that was deleted meanwhile must leave nothing behind.
        expect: vec![(change.pool_key.clone(), Expected::Something)],
        wishes: vec![Wish::PutMetadata {
            key,
            value,
            expected: Expected::Anything,
        }],
        ..Proposal::default()
    }
}
