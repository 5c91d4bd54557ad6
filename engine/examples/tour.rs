//! The embedded library in one sitting: open, update, meet a conflict, list what changed, follow
//! the feed.
//!
//! ```sh
//! cargo run -p syncline-engine --example tour
//! ```

#![allow(clippy::print_stdout)]

use std::error::Error;

use syncline_engine::{
    DatasetId, DatasetName, Engine, FeedChange, IdentityId, Listing, ModifiedBy, Options, Outcome,
    Patch, PatchOp, PoolId, RecordKey, RecordValue, Refusal, SyncCount, Wish,
};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("syncline-tour-{}", std::process::id()));
    let engine = Engine::open(&directory, Options::default())?;
    let start = engine.head();

    let settings = DatasetId {
        pool: PoolId::parse("us-east-1:0b6b4a3e-71c4-4b2e-9b4a-3f2f6f0a7c11")?,
        identity: IdentityId::parse("us-east-1:5b1bd5d6-9c21-4a8f-8a60-2b8f0ad3c0de")?,
        name: DatasetName::parse("settings")?,
    };

    // A device that knows nothing yet writes with sync count 0.
    let written = engine.commit(update(
        &settings,
        &[("theme", "dark", 0), ("volume", "7", 0)],
    )?)?;
    let Outcome::Updated { sync_count, .. } = &written.outcomes[0] else {
        unreachable!()
    };
    println!("the dataset is at sync count {sync_count}");

    // Another device changes one record, with the count that it saw.
    engine.commit(update(&settings, &[("volume", "8", 1)])?)?;

    // The first device did not see that: nothing of its update is applied.
    let stale = engine.commit(update(
        &settings,
        &[("theme", "light", 1), ("volume", "3", 1)],
    )?);
    match stale {
        Err(syncline_engine::Error::Refusal(refusal @ Refusal::Conflict { .. })) => {
            println!("refused: {refusal}");
        }
        other => return Err(format!("expected a conflict, got {other:?}").into()),
    }

    // So it lists what changed since the count that it has, and would merge and try again.
    let since = Listing {
        since: SyncCount::new(1)?,
        ..Listing::default()
    };
    let listed = engine.reader().list(&settings, &since)?;
    for record in listed.records() {
        println!(
            "changed since 1: {} = {:?} at {}",
            record.key, record.value, record.sync_count
        );
    }

    // Every commit is in the feed, in order; a cursor can be stored and used after a restart.
    let mut feed = engine.feed(start)?;
    for commit in feed.read()? {
        for change in &commit.changes {
            if let FeedChange::Updated {
                dataset, records, ..
            } = change
            {
                println!(
                    "commit {}: {} in {dataset}",
                    commit.cursor.sequence,
                    records.len()
                );
            }
        }
    }

    engine.close()?;
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

fn update(dataset: &DatasetId, records: &[(&str, &str, u64)]) -> Result<Wish, Box<dyn Error>> {
    let patches = records
        .iter()
        .map(|&(key, value, seen)| {
            Ok(Patch {
                key: RecordKey::parse(key)?,
                op: PatchOp::Replace(RecordValue::parse(value)?),
                sync_count: SyncCount::new(seen)?,
                device_modified: None,
            })
        })
        .collect::<Result<_, Box<dyn Error>>>()?;
    Ok(Wish::Update {
        dataset: dataset.clone(),
        patches,
        modified_by: ModifiedBy::Owner,
    })
}
