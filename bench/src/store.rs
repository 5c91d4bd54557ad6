//! The engine as a contestant.

use std::path::{Path, PathBuf};

use syncline_engine::{
    Engine, Listing, ModifiedBy, Options, Patch, PatchOp, RecordValue, SyncCount, Wish,
};

use crate::contestant::{Contestant, Totals};
use crate::failure::{Result, fail};
use crate::workload::{KEY, Update, Workload, value};

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

    /// The same, with other options.
    pub fn filled_with(directory: &Path, workload: &Workload, options: Options) -> Result<Self> {
        let engine = Engine::open(directory, options.clone())?;
        let store = Self {
            engine,
            directory: directory.into(),
            options,
        };
        let updates: Vec<_> = (0..workload.datasets.len())
            .map(|number| workload.update(number, 0))
            .collect();
        for updates in updates.chunks(FILL) {
            let wishes = updates.iter().map(|update| wish(*update).map(Into::into));
            for answer in store.engine.commit_all(wishes.collect::<Result<_>>()?) {
                answer?;
            }
        }
        Ok(store)
    }
}

fn wish(update: Update<'_>) -> Result<Wish> {
    let value = RecordValue::parse(value(update.number, update.sync_count + 1))?;
    Ok(Wish::Update {
        dataset: update.dataset.clone(),
        patches: vec![Patch {
            key: update.key.clone(),
            op: PatchOp::Replace(value),
            sync_count: SyncCount::new(update.sync_count)?,
            device_modified: None,
        }],
        modified_by: ModifiedBy::Owner,
    })
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
            let wanted = (KEY, Some(value(number, count)), count);
            let found: Vec<_> = listed
                .records()
                .map(|record| (record.key, record.value, record.sync_count.get()))
                .collect();
            let found_one = (wanted.0, wanted.1.as_deref(), wanted.2);
            if listed.sync_count.get() != count || found != [found_one] {
                return fail(format!("{dataset} has {found:?}, not {wanted:?}"));
            }
        }
        Ok(())
    }
}
