//! A reader that follows the change feed with a cursor that outlives it: it goes on where it
//! stopped, misses nothing, and sees nothing twice.
//!
//! ```sh
//! cargo run -p syncline-engine --example feed
//! ```

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Duration;

use syncline_engine::{
    Cursor, DatasetId, DatasetName, Engine, Expected, FeedChange, IdentityId, MetadataKey,
    MetadataValue, ModifiedBy, Options, Patch, PatchOp, PoolId, RecordKey, RecordValue, Sequence,
    SyncCount, Text, Wish,
};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("syncline-feed-{}", std::process::id()));
    let engine = Engine::open(&directory, Options::default())?;

    write(&engine, "theme", "dark", 0)?;
    write(&engine, "volume", "7", 0)?;
    follow(&engine)?;

    // More is written while nobody reads; the next run goes on behind what the last one stored.
    write(&engine, "volume", "8", 2)?;
    follow(&engine)?;

    // A reader with a name is known to the store: it tells how far it is behind, and keeps the log
    // that it has not read.
    let feed = engine.feed(engine.tail())?.named("example");
    for reader in engine.readers() {
        println!("{} has {} commits to read", reader.name, reader.commits);
    }
    // Whoever waits is woken by the next commit, or by the clock.
    assert!(
        feed.wait(Duration::from_secs(1)),
        "there is something to read"
    );
    drop(feed);

    engine.close()?;
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

/// Reads what is new and stores the cursor, in the same store.
fn follow(engine: &Engine) -> Result<(), Box<dyn Error>> {
    let mut feed = engine.feed(load(engine)?)?.named("printer");
    for commit in feed.commits() {
        let commit = commit?;
        for change in &commit.changes {
            if let FeedChange::Updated { records, .. } = change {
                for record in records {
                    let value = record.value.map(Text::as_str);
                    println!("{} = {value:?}", record.key);
                }
            }
        }
    }
    store(engine, feed.cursor())
}

fn cursor_key() -> MetadataKey {
    MetadataKey::new(*b"cursor of the printer").expect("the key is short")
}

fn load(engine: &Engine) -> Result<Cursor, Box<dyn Error>> {
    let Some(stored) = engine.reader().metadata(&cursor_key())? else {
        return Ok(engine.tail());
    };
    let sequence = u64::from_le_bytes(stored.value.as_bytes().try_into()?);
    Ok(Cursor {
        sequence: Sequence::new(sequence),
        ..engine.head()
    })
}

fn store(engine: &Engine, cursor: Cursor) -> Result<(), Box<dyn Error>> {
    engine.commit(Wish::PutMetadata {
        key: cursor_key(),
        value: MetadataValue::new(cursor.sequence.get().to_le_bytes().to_vec())?,
        expected: Expected::Anything,
    })?;
    Ok(())
}

fn write(engine: &Engine, key: &str, value: &str, seen: u64) -> Result<(), Box<dyn Error>> {
    let patch = Patch {
        key: RecordKey::parse(key)?,
        op: PatchOp::Replace(RecordValue::parse(value)?),
        sync_count: SyncCount::new(seen)?,
        device_modified: None,
    };
    engine.commit(Wish::Update {
        dataset: DatasetId {
            pool: PoolId::parse("us-east-1:0b6b4a3e-71c4-4b2e-9b4a-3f2f6f0a7c11")?,
            identity: IdentityId::parse("us-east-1:5b1bd5d6-9c21-4a8f-8a60-2b8f0ad3c0de")?,
            name: DatasetName::parse("settings")?,
        },
        patches: vec![patch],
        modified_by: ModifiedBy::Owner,
    })?;
    Ok(())
}
