//! Opens everything that lives in the data directory, in the one order that is safe: the store
//! first, since it holds the directory against other processes, then the keys.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use syncline_engine::{Engine, Error as EngineError, Fault, Limits, Options, Recovery, Timestamp};
use thiserror::Error;

use crate::config::{Config, RootKey, RootKeyError};
use crate::error::Chain;
use crate::seal::{Keys, KeysError};
use crate::site::{Holds, Site};

/// Why the server cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The place for the data directory cannot be made.
    #[error("cannot make the directory {}", path.display())]
    Directory {
        /// The parent of the data directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store cannot be opened or read.
    #[error("cannot open the data directory {}{}", path.display(), advice(source, path))]
    Store {
        /// The data directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// The keys that seal cannot be had.
    #[error("cannot obtain the keys that seal tokens")]
    Keys(#[source] KeysError),
    /// The developer's key cannot be had.
    #[error("cannot obtain the root access key")]
    RootKey(#[source] RootKeyError),
}

/// Opens the store, the keys and the site. Blocks on the disk. `variable` reads the environment.
///
/// # Errors
/// The first thing that cannot be opened.
pub fn open(
    config: Arc<Config>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Arc<Site>, StartError> {
    let directory = config.data.clone();
    // The store makes its own directory and insists that its parent lasts.
    if let Some(parent) = directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|source| StartError::Directory {
                path: parent.into(),
                source,
            })?;
    }
    let failed = |source| StartError::Store {
        path: directory.clone(),
        source,
    };
    let engine = Engine::open(&directory, options(&config)).map_err(failed)?;
    // The store begins to let go of its log at once.
    let holds = Holds::find(&engine);
    report(engine.recovery());
    let keys = Keys::obtain(&directory).map_err(StartError::Keys)?;
    let root = RootKey::obtain(&directory, variable).map_err(StartError::RootKey)?;
    Site::open(engine, holds, config, keys, root, Arc::new(Timestamp::now)).map_err(failed)
}

/// What to do about it, where that is known.
fn advice(error: &EngineError, path: &Path) -> String {
    match error {
        EngineError::Fault(Fault::Corrupt { .. }) => {
            let path = path.display();
            format!(
                " (it is damaged: `syncline check --data {path}` tells all of it, `syncline repair \
                 --data {path}` saves what can be saved)"
            )
        }
        _ => String::new(),
    }
}

/// How the store is opened, as the configuration has it.
#[must_use]
pub fn options(config: &Config) -> Options {
    let limits = &config.limits;
    Options {
        limits: Limits {
            datasets_per_identity: limits.datasets_per_identity,
            records_per_dataset: limits.records_per_dataset,
            dataset_bytes: limits.dataset_bytes,
            pool_bytes: limits.pool_bytes,
        },
        cache_bytes: config.engine.cache_bytes,
        segment_bytes: config.engine.segment_bytes,
        checkpoint_bytes: config.engine.checkpoint_bytes,
        feed_retention: config.engine.feed_retention(),
        feed_retention_bytes: config.engine.feed_retention_bytes,
        pin_bytes: config.engine.pin_bytes,
        ..Options::default()
    }
}

fn report(recovery: &Recovery) {
    let Recovery {
        store,
        created,
        clean,
        checkpoint,
        damaged,
        commits,
        segments,
        bytes,
        elapsed,
        torn,
        ..
    } = recovery;
    for fault in damaged {
        tracing::warn!(
            "a checkpoint is damaged and set aside, an older one and the log took its place: {}",
            Chain(fault)
        );
    }
    if let Some(torn) = torn {
        tracing::warn!(
            "the last batch before the crash was unfinished and is set aside: {} bytes at offset \
             {} of {}, kept in {}; nothing in it was ever acknowledged",
            torn.bytes,
            torn.offset,
            torn.path.display(),
            torn.copy.display()
        );
    }
    let elapsed_ms = elapsed.as_millis();
    tracing::info!(
        %store, created, clean, ?checkpoint, commits, segments, bytes, elapsed_ms,
        "store opened"
    );
}

#[cfg(test)]
mod tests {
    use syncline_engine::{Expected, Proposal, Wish};

    use super::*;
    use crate::site::stored::{self, StreamCursorRecord};

    #[tokio::test]
    async fn the_log_is_kept_for_streams_before_anything_delivers() {
        let home = tempfile::tempdir().unwrap();
        let config = Arc::new(Config {
            data: home.path().join("data"),
            ..Config::default()
        });
        let site = open(Arc::clone(&config), |_| None).unwrap();
        let pool = stored::Id::new("us-east-1");
        let record = StreamCursorRecord {
            stream: "out".to_owned(),
            store: site.store.engine().head().store.into_bytes(),
            ..StreamCursorRecord::default()
        };
        let put = |key, value| Wish::PutMetadata {
            key,
            value,
            expected: Expected::Nothing,
        };
        let proposal = Proposal {
            wishes: vec![
                put(stored::pool_key(&pool), stored::encode(&0_u8).unwrap()),
                put(
                    stored::stream_cursor_key(pool.uuid),
                    stored::encode(&record).unwrap(),
                ),
            ],
            ..Proposal::default()
        };
        site.store.commit(proposal).await.unwrap();
        site.close().await.unwrap();
        drop(site);
        let site = open(config, |_| None).unwrap();
        let readers = site.store.engine().readers();
        let names: Vec<&str> = readers.iter().map(|reader| &*reader.name).collect();
        assert_eq!(names, [format!("stream out of {pool}")]);
        // It ends with the stream.
        site.outflow.holds.retain(|_| false);
        assert_eq!(site.store.engine().readers(), []);
        site.close().await.unwrap();
    }
}
