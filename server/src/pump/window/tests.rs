//! Who is near the head takes from the window, others are sent to the log, and nobody misses
//! anything.

use std::sync::Arc;

use syncline_engine::{
    DatasetId, DatasetName, IdentityId, ModifiedBy, Options, Patch, PatchOp, RecordKey,
    RecordValue, SyncCount, Wish,
};

use super::super::phase::{Phase, phases};
use super::*;

struct Scene {
    engine: Engine,
    window: Arc<Window>,
    _home: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let options = Options {
            segment_bytes: 1 << 20,
            ..Options::default()
        };
        let engine = Engine::open(home.path(), options).unwrap();
        Self {
            window: Arc::new(Window::new(engine.clone(), Counter::default())),
            engine,
            _home: home,
        }
    }

    /// Writes a dataset of its own; returns the commit.
    fn write(&self, pool: &PoolId, name: &str, bytes: usize) -> Sequence {
        let wish = Wish::Update {
            dataset: DatasetId {
                pool: *pool,
                identity: IdentityId::parse("r:5b1bd5d6-9c21-4a8f-8a60-2b8f0ad3c0de").unwrap(),
                name: DatasetName::parse(name).unwrap(),
            },
            patches: vec![Patch {
                key: RecordKey::parse("k").unwrap(),
                op: PatchOp::Replace(RecordValue::parse("v".repeat(bytes)).unwrap()),
                sync_count: SyncCount::ZERO,
                device_modified: None,
            }],
            modified_by: ModifiedBy::Owner,
        };
        self.engine.commit(wish).unwrap().sequence
    }

    /// Lets the reader read everything that there is.
    async fn read(&self) {
        let end = self.window.lock().end;
        let feed = self.engine.feed(self.window.cursor(end)).unwrap();
        let mut feed = self.window.read(feed).await.unwrap();
        while feed.cursor() != self.engine.head() {
            feed = self.window.read(feed).await.unwrap();
        }
    }

    /// Names of the datasets that the next events tell of, and where they end.
    fn next(&self, pool: &PoolId, at: Sequence) -> Option<(Vec<String>, Sequence)> {
        match self.window.next(pool, at) {
            Next::News(taken) => {
                let names = taken
                    .events
                    .iter()
                    .map(|event| event.dataset.name.to_string());
                Some((names.collect(), taken.to))
            }
            Next::Quiet(to) => Some((Vec::new(), to)),
            Next::Behind => None,
        }
    }
}

fn pool(number: u32) -> PoolId {
    PoolId::parse(&format!("r:{number:08x}-71c4-4b2e-9b4a-3f2f6f0a7c11")).unwrap()
}

#[tokio::test]
async fn each_pool_sees_its_own_from_where_it_is() {
    let scene = Scene::new();
    let (one, two, other) = (pool(1), pool(2), pool(3));
    let before = scene.write(&one, "before", 1);
    let bell = scene.window.watch(one);
    assert_eq!(
        scene.next(&one, Sequence::ZERO),
        None,
        "it was not here yet"
    );
    assert_eq!(scene.next(&one, before), Some((vec![], before)));
    scene.window.watch(two);
    let a = scene.write(&one, "a", 1);
    scene.write(&two, "b", 1);
    scene.write(&other, "c", 1);
    let end = scene.write(&one, "d", 1);
    scene.read().await;
    tokio::time::timeout(Duration::from_secs(9), bell.notified())
        .await
        .expect("there is news");
    let own = |names: &[&str]| Some((names.iter().map(|&name| name.to_owned()).collect(), end));
    assert_eq!(scene.next(&one, before), own(&["a", "d"]));
    assert_eq!(scene.next(&one, a), own(&["d"]));
    assert_eq!(scene.next(&one, end), own(&[]));
    assert_eq!(scene.next(&two, before), own(&["b"]));
    assert_eq!(scene.next(&other, before), None, "nobody asked for it");
    // One that read further by itself is not sent back.
    let ahead = scene.write(&one, "e", 1);
    assert_eq!(scene.next(&one, ahead), Some((vec![], ahead)));
    scene.read().await;
    assert_eq!(scene.next(&one, ahead), Some((vec![], ahead)));
}

#[tokio::test]
async fn what_fell_out_is_read_from_the_log_but_not_by_those_it_does_not_concern() {
    let scene = Scene::new();
    let (busy, quiet) = (pool(1), pool(2));
    scene.window.watch(busy);
    scene.window.watch(quiet);
    let start = scene.engine.head().sequence;
    assert_eq!(scene.next(&quiet, start), Some((vec![], start)));
    for turn in 0..14 {
        scene.write(&busy, &format!("d{turn}"), 1_000_000);
        scene.read().await;
    }
    let end = scene.engine.head().sequence;
    assert!(scene.window.lock().bytes <= BYTES_MAX);
    assert_eq!(scene.next(&busy, start), None, "it must read the log");
    assert_eq!(scene.next(&quiet, start), Some((vec![], end)));
    let last = scene.write(&quiet, "q", 1);
    scene.read().await;
    assert_eq!(scene.next(&quiet, end), Some((vec!["q".to_owned()], last)));
    // A batch ends where it is large enough, with a whole commit.
    let near = Sequence::new(end.get() - 3);
    let (names, to) = scene.next(&busy, near).unwrap();
    assert_eq!((names.len(), to), (2, Sequence::new(near.get() + 2)));
}

#[tokio::test]
async fn the_reader_follows_and_rests_when_nobody_streams() {
    let scene = Scene::new();
    let (say, heard) = phases();
    let window = Arc::clone(&scene.window);
    let running = tokio::spawn(async move { window.run(heard).await });
    let one = pool(1);
    for round in 0..3 {
        let bell = scene.window.watch(one);
        let at = scene.engine.head().sequence;
        assert_eq!(scene.next(&one, at), Some((vec![], at)));
        let name = format!("d{round}");
        let end = scene.write(&one, &name, 1);
        while scene.next(&one, at) == Some((vec![], at)) {
            bell.notified().await;
        }
        assert_eq!(scene.next(&one, at), Some((vec![name.clone()], end)));
        scene.window.forget(&one);
        // What happens while nobody listens is nobody's.
        scene.write(&one, &format!("{name}-unseen"), 1);
    }
    say.send_replace(Phase::Stop);
    running.await.unwrap();
}
