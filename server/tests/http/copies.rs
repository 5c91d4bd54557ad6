//! `syncline export` and `syncline import`: a store there and back.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use syncline_engine::{
    DatasetId, DatasetName, Engine, Expected, Exported, IdentityId, MetadataKey, MetadataValue,
    ModifiedBy, Options, Patch, PatchOp, PoolId, Proposal, RecordKey, RecordValue, Scope,
    SyncCount, Wish,
};

use crate::process::{Running, refused, syncline};

const POOL: &str = "us-east-1:0b6b4a3e-71c4-4b2e-9b4a-3f2f6f0a7c11";

fn identity(number: usize) -> String {
    format!("us-east-1:5b1bd5d6-9c21-4a8f-8a60-{number:012x}")
}

fn told(data: &Path) -> Vec<Exported> {
    let engine = Engine::open(data, Options::default()).unwrap();
    engine
        .export(Scope::All)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn ran(directory: &Path, arguments: &[&str]) -> String {
    let output = syncline(directory, arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// A directory that a server has used, with more in it than lies between two positions.
fn filled(directory: &Path) {
    let data = ["serve", "--data", "one", "--listen", "127.0.0.1:0"];
    let running = Running::start(syncline(directory, &data));
    running.signal(Signal::TERM);
    assert!(running.ended().0.success());
    let engine = Engine::open(directory.join("one"), Options::default()).unwrap();
    let proposals = (0..100).map(|number| {
        let dataset = DatasetId {
            pool: PoolId::parse(POOL).unwrap(),
            identity: IdentityId::parse(&identity(number)).unwrap(),
            name: DatasetName::parse("games").unwrap(),
        };
        let patch = |key: &str, op| Patch {
            key: RecordKey::parse(key).unwrap(),
            op,
            sync_count: SyncCount::ZERO,
            device_modified: None,
        };
        let value = RecordValue::parse("\u{1F3B2}\n\"x\"".repeat(10_000)).unwrap();
        Proposal::from(Wish::Update {
            dataset,
            patches: vec![
                patch("level \u{0}", PatchOp::Replace(value)),
                patch("lives", PatchOp::Remove),
            ],
            modified_by: ModifiedBy::other("phone").unwrap(),
        })
    });
    for answer in engine.commit_all(proposals.collect()) {
        answer.unwrap();
    }
    let key = MetadataKey::new(vec![0, 255, 1]).unwrap();
    let value = MetadataValue::new(vec![255; 300]).unwrap();
    let expected = Expected::Nothing;
    let put = Wish::PutMetadata {
        key,
        value,
        expected,
    };
    engine.commit(put).unwrap();
    engine.close().unwrap();
}

#[tokio::test]
async fn a_directory_is_the_same_after_export_and_import() {
    let home = tempfile::tempdir().unwrap();
    let here = home.path();
    filled(here);
    let said = ran(
        here,
        &["export", "--data", "one", "--out", "all.ndjson", "--json"],
    );
    assert!(said.contains("\"datasets\":100"), "{said}");
    let said = ran(here, &["import", "--data", "two", "all.ndjson"]);
    assert!(said.contains("Imported"), "{said}");
    assert!(told(&here.join("one")) == told(&here.join("two")));
    // Again is harmless, and a server runs on it.
    let said = ran(here, &["import", "--data", "two", "all.ndjson", "--json"]);
    assert!(said.contains("\"there_already\":101"), "{said}");
    let data = ["serve", "--data", "two", "--listen", "127.0.0.1:0"];
    let running = Running::start(syncline(here, &data));
    let health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(running.client().await.ask(health).await.status, 200);
    let busy = refused(syncline(here, &["export", "--data", "two", "--out", "x"]));
    assert!(busy.contains("stop the server"), "{busy}");
    running.signal(Signal::TERM);
    assert!(running.ended().0.success());
    let piped = ran(here, &["export", "--data", "one"]);
    assert!(piped.ends_with("}\n") && piped.contains("{\"type\":\"end\""));
}

#[test]
fn a_file_that_was_cut_off_is_not_imported_and_is_gone_on_with() {
    let home = tempfile::tempdir().unwrap();
    let here = home.path();
    filled(here);
    ran(here, &["export", "--data", "one", "--out", "all"]);
    let whole = fs::read(here.join("all")).unwrap();
    for end in [whole.len() - 1, whole.len() / 2, 10] {
        fs::write(here.join("cut"), &whole[..end]).unwrap();
        let told = refused(syncline(here, &["import", "--data", "two", "cut"]));
        assert!(told.contains("cut off"), "{told}");
        assert!(!here.join("two").exists());
        // As if the export had been killed there.
        fs::write(here.join("again.partial"), &whole[..end]).unwrap();
        let exists = refused(syncline(
            here,
            &["export", "--data", "one", "--out", "again"],
        ));
        assert!(exists.contains("--resume"), "{exists}");
        let resume = ["export", "--data", "one", "--out", "again", "--resume"];
        ran(here, &resume);
        assert!(!here.join("again.partial").exists());
        ran(here, &["import", "--data", "three", "again"]);
        assert!(told_lines(&here.join("again")) == told_lines(&here.join("all")));
        fs::remove_file(here.join("again")).unwrap();
    }
    assert!(told(&here.join("one")) == told(&here.join("three")));
}

/// The lines but those that tell a position.
fn told_lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.contains("\"type\":\"position\""));
    lines.map(str::to_owned).collect()
}

#[test]
fn an_identity_goes_to_another() {
    let home = tempfile::tempdir().unwrap();
    let here = home.path();
    filled(here);
    let (one, to) = (identity(7), identity(777));
    let only = ["--pool", POOL, "--identity", &one, "--out", "one.ndjson"];
    let said = ran(here, &[&["export", "--data", "one"], &only[..]].concat());
    assert!(said.starts_with("Exported 1 datasets"), "{said}");
    let renamed = ["--identity", &one, "--to", &to, "one.ndjson"];
    ran(here, &[&["import", "--data", "one"], &renamed[..]].concat());
    let content = |all: &[Exported], identity: &str| {
        all.iter().find_map(|exported| match exported {
            Exported::Dataset { dataset, content } if dataset.identity.as_str() == identity => {
                Some(content.clone())
            }
            _ => None,
        })
    };
    let all = told(&here.join("one"));
    assert_eq!(content(&all, &one).unwrap().records.len(), 2);
    assert!(content(&all, &one) == content(&all, &to));
    let none = ["--identity", &to, "--to", &one, "one.ndjson"];
    let none = refused(syncline(
        here,
        &[&["import", "--data", "one"], &none[..]].concat(),
    ));
    assert!(none.contains("nothing of this identity"), "{none}");
}
