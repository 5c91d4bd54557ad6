//! A bug that was found by reading: what was given up before a backup pinned it went while the
//! backup copied it, and the backup was said to be good.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use syncline_engine::disk::{Call, Disk, SimDisk};
use syncline_engine::{
    BackupOptions, DatasetId, DatasetName, Engine, IdentityId, ModifiedBy, Options, Patch, PatchOp,
    PoolId, RecordKey, RecordValue, RestoreOptions, SyncCount, Wish, restore_on,
};

use super::data;
use super::hooked::Hooked;

fn fill(engine: &Engine, from: u32, to: u32) {
    for number in from..to {
        let patch = Patch {
            key: RecordKey::parse("key").unwrap(),
            op: PatchOp::Replace(RecordValue::parse("x".repeat(1500)).unwrap()),
            sync_count: SyncCount::ZERO,
            device_modified: None,
        };
        let dataset = DatasetId {
            pool: PoolId::parse("eu:00000001-0000-4000-8000-00000000aaaa").unwrap(),
            identity: IdentityId::parse(&format!("eu:{number:08}-0000-4000-8000-00000000bbbb"))
                .unwrap(),
            name: DatasetName::parse("data").unwrap(),
        };
        engine
            .commit(Wish::Update {
                dataset,
                patches: vec![patch],
                modified_by: ModifiedBy::Owner,
            })
            .unwrap();
    }
}

#[test]
fn what_waits_to_go_stays_until_the_backup_has_copied_it() {
    let mut waited = 0;
    for size in (40..400).step_by(40) {
        let options = Options {
            checkpoint_bytes: 1 << 30,
            ..data::tiny()
        };
        let engine = Engine::open_on(Arc::new(SimDisk::new(5)), options).unwrap();
        fill(&engine, 0, size);
        engine.maintain().unwrap();
        waited += u32::from(engine.upkeep().garbage_bytes > 0);
        let backup = SimDisk::new(9);
        let other = engine.clone();
        // When the first file of the log is made.
        let is_first = AtomicBool::new(true);
        let hook = move |path: &Path, call| {
            let is_log = call == Call::Create && path.starts_with("hot");
            if is_log && is_first.swap(false, Ordering::Relaxed) {
                // Two checkpoints, after which it may go.
                other.compact().unwrap();
                fill(&other, 1000, 1200);
                other.compact().unwrap();
            }
        };
        let target: Arc<dyn Disk> = Arc::new(Hooked {
            disk: backup.clone(),
            hook: Arc::new(hook),
        });
        let made = engine
            .backup_on(&target, &BackupOptions::default())
            .unwrap();
        let from: Arc<dyn Disk> = Arc::new(backup);
        let to: Arc<dyn Disk> = Arc::new(SimDisk::new(10));
        let restored = restore_on(&from, &to, &RestoreOptions::default()).unwrap();
        assert_eq!(restored.sequence, made.sequence, "{size} datasets");
    }
    assert!(waited > 3, "something was given up before");
}
