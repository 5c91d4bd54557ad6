use std::sync::Arc;

use syncline_engine::{
    DatasetId, ModifiedBy, Options, Patch, PatchOp, RecordKey, RecordValue, SyncCount, Wish,
};

use super::*;

struct Scene {
    live: Live,
    engine: Engine,
    _directory: tempfile::TempDir,
}

fn scene(listeners_max: usize) -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), Options::default()).unwrap();
    Scene {
        live: Live::new(engine.clone(), listeners_max, listeners_max),
        engine,
        _directory: directory,
    }
}

fn ids(identity: &str) -> (PoolId, IdentityId) {
    (
        PoolId::parse("r:1").unwrap(),
        IdentityId::parse(identity).unwrap(),
    )
}

fn name(name: &str) -> DatasetName {
    DatasetName::parse(name).unwrap()
}

impl Scene {
    fn listen(&self, identity: &str, names: Option<&[&str]>) -> Result<Ears, ApiError> {
        let (pool, identity) = ids(identity);
        let names = names.map(|names| names.iter().map(|text| name(text)).collect());
        self.live.listen(pool, identity, names)
    }

    fn dataset(identity: &str, dataset: &str) -> DatasetId {
        let (pool, identity) = ids(identity);
        DatasetId {
            pool,
            identity,
            name: name(dataset),
        }
    }

    fn write(&self, identity: &str, dataset: &str, count: u64) {
        let patch = Patch {
            key: RecordKey::parse("k").unwrap(),
            op: PatchOp::Replace(RecordValue::parse("v").unwrap()),
            sync_count: SyncCount::new(count).unwrap(),
            device_modified: None,
        };
        let wish = Wish::Update {
            dataset: Self::dataset(identity, dataset),
            patches: vec![patch],
            modified_by: ModifiedBy::Owner,
        };
        self.engine.commit(wish).unwrap();
    }
}

fn changed(sync_count: u64, exists: bool) -> Change {
    Change { sync_count, exists }
}

#[tokio::test]
async fn a_listener_hears_of_its_identity_and_its_datasets_only() {
    let scene = scene(10);
    let all = scene.listen("r:a", None).unwrap();
    let one = scene.listen("r:a", Some(&["x", "x"])).unwrap();
    let other = scene.listen("r:b", None).unwrap();
    scene.write("r:a", "y", 0);
    let news = all.heard().await;
    assert_eq!(news.changes, [(name("y"), changed(1, true))].into());
    scene.write("r:a", "x", 0);
    scene.write("r:a", "x", 1);
    let wish = Wish::DeleteDataset {
        dataset: Scene::dataset("r:a", "x"),
        modified_by: ModifiedBy::Owner,
    };
    scene.engine.commit(wish).unwrap();
    // What one has not taken yet is one change: the last.
    let mut last = None;
    while last != Some(changed(3, false)) {
        let news = one.heard().await;
        assert!(!news.ended);
        assert_eq!(news.changes.len(), 1);
        last = news.changes.get(&name("x")).copied();
    }
    // The follower is past all that, and the other has heard nothing of it.
    scene.write("r:b", "z", 0);
    let news = other.heard().await;
    assert_eq!(news.changes, [(name("z"), changed(1, true))].into());
}

#[tokio::test]
async fn listeners_are_bounded_and_leave_nothing_behind() {
    let scene = scene(LISTENERS_PER_IDENTITY + 1);
    let ears: Vec<_> = (0..LISTENERS_PER_IDENTITY)
        .map(|_| scene.listen("r:a", None).unwrap())
        .collect();
    let error = scene.listen("r:a", None).err().unwrap();
    assert!(error.message.contains("an identity may have"), "{error}");
    let last = scene.listen("r:b", None).unwrap();
    let error = scene.listen("r:c", None).err().unwrap();
    assert!(error.message.contains("this server has room"), "{error}");
    assert_eq!(error.kind.name(), "TooManyRequestsException");
    drop((ears, last));
    let left = |registry: MutexGuard<'_, Registry>| (registry.count, registry.by_identity.len());
    assert_eq!(left(scene.live.shared.lock()), (0, 0));
    // The follower ends with the next commit, and begins again with the next listener.
    scene.write("r:a", "x", 0);
    while scene.live.shared.lock().followed.is_some() {
        tokio::task::yield_now().await;
    }
    let ears = scene.listen("r:a", None).unwrap();
    scene.write("r:a", "x", 1);
    assert_eq!(ears.heard().await.changes[&name("x")], changed(2, true));
}

#[tokio::test]
async fn one_pool_leaves_room_for_the_others() {
    let mut scene = scene(3);
    scene.live = Live::new(scene.engine.clone(), 3, 2);
    let ears = ["r:a", "r:b"].map(|identity| scene.listen(identity, None).unwrap());
    let error = scene.listen("r:c", None).err().unwrap();
    assert!(error.message.contains("a pool has room for 2"), "{error}");
    let (pool, identity) = (PoolId::parse("r:2").unwrap(), ids("r:a").1);
    let other = scene.live.listen(pool, identity, None).unwrap();
    drop(ears);
    drop(scene.listen("r:c", None).unwrap());
    drop(other);
    assert!(scene.live.shared.lock().by_pool.is_empty());
}

#[tokio::test]
async fn everybody_is_let_go_when_the_server_stops() {
    let scene = scene(10);
    let ears = Arc::new(scene.listen("r:a", None).unwrap());
    let waiting = tokio::spawn({
        let ears = Arc::clone(&ears);
        async move { ears.heard().await }
    });
    scene.live.close();
    assert!(waiting.await.unwrap().ended);
    assert!(ears.heard().await.ended);
    assert!(scene.listen("r:a", None).unwrap().heard().await.ended);
}
