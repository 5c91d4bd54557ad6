//! A consistent copy while writes go on, restored into a new directory; the feed goes on from it.
//!
//! ```sh
//! cargo run -p syncline-engine --example export
//! ```

#![allow(clippy::print_stdout)]

use std::error::Error;

use syncline_engine::{
    DatasetId, DatasetName, Engine, IdentityId, ModifiedBy, Options, Patch, PatchOp, PoolId,
    RecordKey, RecordValue, Scope, SyncCount, Wish,
};

fn main() -> Result<(), Box<dyn Error>> {
    let home = std::env::temp_dir().join(format!("syncline-export-{}", std::process::id()));
    let engine = Engine::open(home.join("old"), Options::default())?;
    for name in ["settings", "scores", "friends"] {
        engine.commit(put(name, "first", 0)?)?;
    }

    // The export is the store as it is here, whatever is written from now on.
    let mut export = engine.export(Scope::All)?;
    engine.commit(put("settings", "second", 1)?)?;

    let copy = Engine::open(home.join("new"), Options::default())?;
    for exported in export.by_ref() {
        copy.commit(Wish::from(exported?))?;
    }
    let done = export.progress();
    println!(
        "copied {} of {} datasets",
        done.datasets, done.datasets_total
    );

    // Opened while the export is there, the feed tells exactly what came after it.
    let mut feed = engine.feed(export.cursor())?;
    drop(export);
    for commit in feed.read()? {
        println!("written meanwhile: {} changes", commit.changes.len());
    }

    engine.close()?;
    copy.close()?;
    std::fs::remove_dir_all(home)?;
    Ok(())
}

fn put(name: &str, value: &str, seen: u64) -> Result<Wish, Box<dyn Error>> {
    let dataset = DatasetId {
        pool: PoolId::parse("us-east-1:0b6b4a3e-71c4-4b2e-9b4a-3f2f6f0a7c11")?,
        identity: IdentityId::parse("us-east-1:5b1bd5d6-9c21-4a8f-8a60-2b8f0ad3c0de")?,
        name: DatasetName::parse(name)?,
    };
    let patch = Patch {
        key: RecordKey::parse("state")?,
        op: PatchOp::Replace(RecordValue::parse(value)?),
        sync_count: SyncCount::new(seen)?,
        device_modified: None,
    };
    let (patches, modified_by) = (vec![patch], ModifiedBy::Owner);
    Ok(Wish::Update {
        dataset,
        patches,
        modified_by,
    })
}
