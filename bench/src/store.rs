//! The engine as a contestant.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use syncline_engine::{
    DatasetId, Engine, Exported, FeedChange, Listing, ModifiedBy, Options, Patch, PatchOp,
    RecordKey, RecordRef, RecordValue, Scope, SyncCount, Text, Wish,
};

use crate::contestant::{Contestant, Shelf, Totals};
use crate::failure::{Result, fail};
use crate::workload::{Update, Workload};

/// Proposals that are filled in at a time.
const FILL: usize = 1000;

/// A store.
pub struct Store {
    pub engine: Engine,
    directory: PathBuf,
    options: Options,
}

impl Store {
    /// A new store in which every dataset has been written once, with default options, as an
    /// embedding program opens it.
    pub fn filled(directory: &Path, workload: &Workload) -> Result<Self> {
        Self::filled_with(directory, workload, Options::default())
    }

    /// A new store with nothing in it.
    pub fn empty(directory: &Path, options: Options) -> Result<Self> {
        Ok(Self {
            engine: Engine::open(directory, options.clone())?,
            directory: directory.into(),
            options,
        })
    }

    /// The same as [`Self::filled`], with other options.
    pub fn filled_with(directory: &Path, workload: &Workload, options: Options) -> Result<Self> {
        let store = Self::empty(directory, options)?;
        let updates = (0..workload.datasets.len()).map(|number| workload.update(number, 0));
        store.write_all(&updates.collect::<Vec<_>>())?;
        Ok(store)
    }
}

/// What the engine is asked to do for an update.
pub fn wish(update: Update<'_>) -> Result<Wish> {
    let patch = |(record, key): (usize, &RecordKey)| {
        Ok(Patch {
            key: key.clone(),
            op: PatchOp::Replace(RecordValue::parse(update.value(record))?),
            sync_count: SyncCount::new(update.sync_count)?,
            device_modified: None,
        })
    };
    let patches = update.keys.iter().enumerate().map(patch);
    Ok(Wish::Update {
        dataset: update.dataset.clone(),
        patches: patches.collect::<Result<_>>()?,
        modified_by: ModifiedBy::Owner,
    })
}

impl Shelf for Store {
    fn write_all(&self, updates: &[Update<'_>]) -> Result<()> {
        for updates in updates.chunks(FILL) {
            let wishes = updates.iter().map(|update| wish(*update).map(Into::into));
            for answer in self.engine.commit_all(wishes.collect::<Result<_>>()?) {
                answer?;
            }
        }
        Ok(())
    }

    fn list(&self, dataset: &DatasetId, since: u64) -> Result<(usize, usize)> {
        let listing = Listing {
            since: SyncCount::new(since)?,
            ..Listing::default()
        };
        let listed = self.engine.reader().list(dataset, &listing)?;
        let (mut records, mut bytes) = (0, 0);
        for record in listed.records() {
            records += 1;
            bytes += size(record);
        }
        Ok((records, bytes))
    }

    fn follow(&self) -> Result<(usize, usize)> {
        let mut feed = self.engine.feed(self.engine.tail())?;
        let (mut commits, mut bytes) = (0, 0);
        loop {
            let read = feed.read()?;
            if read.is_empty() {
                return Ok((commits, bytes));
            }
            for change in read.iter().flat_map(|commit| &commit.changes) {
                if let FeedChange::Updated { records, .. } = change {
                    bytes += records.iter().map(size).sum::<usize>();
                }
            }
            commits += read.len();
        }
    }

    fn export(&self) -> Result<(usize, usize)> {
        let (mut records, mut bytes) = (0, 0);
        for exported in self.engine.export(Scope::All)? {
            if let Exported::Dataset { content, .. } = exported? {
                records += content.records.len();
                bytes += content
                    .records
                    .iter()
                    .map(|record| size(record.into()))
                    .sum::<usize>();
            }
        }
        Ok((records, bytes))
    }
}

/// Bytes of key and value.
fn size(record: RecordRef<'_>) -> usize {
    record.key.len() + record.value.map_or(0, Text::len)
}

impl Contestant for Store {
    fn commit(&self, update: Update<'_>) -> Result<()> {
        self.engine.commit(wish(update)?)?;
        Ok(())
    }

    fn totals(&self) -> Totals {
        let stats = self.engine.stats();
        Totals {
            syncs: stats.batches,
            log_bytes: stats.log_bytes,
        }
    }

    fn reopen(self: Box<Self>) -> Result<Box<dyn Contestant>> {
        let Self {
            engine,
            directory,
            options,
        } = *self;
        engine.close()?;
        // The directory is locked as long as there is a handle.
        drop(engine);
        let engine = Engine::open(&directory, options.clone())?;
        Ok(Box::new(Self {
            engine,
            directory,
            options,
        }))
    }

    fn verify(&self, workload: &Workload, counts: &[u64]) -> Result<()> {
        for (number, (dataset, &count)) in workload.datasets.iter().zip(counts).enumerate() {
            let listed = self.engine.reader().list(dataset, &Listing::default())?;
            let found: HashMap<_, _> = listed
                .records()
                .map(|record| (record.key, (record.value, record.sync_count.get())))
                .collect();
            let is_right = |(record, key): (usize, &RecordKey)| {
                let wanted = workload.value(number, record, count);
                found.get(&Text::from(key.as_str())) == Some(&(Some(Text::from(&*wanted)), count))
            };
            let all = workload.keys.iter().enumerate().all(is_right);
            if listed.sync_count.get() != count || found.len() != workload.keys.len() || !all {
                return fail(format!(
                    "{dataset} has {found:?}, which is not of count {count}"
                ));
            }
        }
        Ok(())
    }
}
