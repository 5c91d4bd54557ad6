//! `syncline export` and `syncline import`: a store there and back.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;
use syncline_engine::{
    DatasetId, DatasetName, Engine, Expected, Exported, IdentityId, MetadataKey, MetadataValue,
    ModifiedBy, Options, Patch, PatchOp, PoolId, Proposal, RecordKey, RecordValue, Scope,
    SyncCount, Wish,
};
use syncline_server::site::stored::{self, Id};

use crate::commands::{self, serve, stop};
use crate::process::{Running, refused, syncline};
use crate::signed::{Guest, developer};

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
    commands::ran(syncline(directory, arguments), 0).0
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
    assert!(said.contains("\"imported\":0"), "{said}");
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

/// The server's records of a pool and its identities, as a server would have made them.
fn known(engine: &Engine, identities: &[usize]) {
    let pool = Id::parse(POOL).unwrap();
    let mut keys = vec![stored::pool_key(&pool)];
    for number in identities {
        let identity = Id::parse(&identity(*number)).unwrap();
        keys.push(stored::identity_key(pool.uuid, identity.uuid));
    }
    let put = |key| {
        Proposal::from(Wish::PutMetadata {
            key,
            value: MetadataValue::new(vec![7]).unwrap(),
            expected: Expected::Nothing,
        })
    };
    for answer in engine.commit_all(keys.into_iter().map(put).collect()) {
        answer.unwrap();
    }
}

#[test]
fn an_identity_goes_to_another_that_is_there() {
    let home = tempfile::tempdir().unwrap();
    let here = home.path();
    filled(here);
    let (one, to) = (identity(7), identity(777));
    let only = ["--pool", POOL, "--identity", &one, "--out", "one.ndjson"];
    let said = ran(here, &[&["export", "--data", "one"], &only[..]].concat());
    assert!(said.starts_with("Exported 1 datasets"), "{said}");
    let import = |one: &str, to: &str, data: &str| {
        let renamed = ["--identity", one, "--to", to, "one.ndjson"];
        syncline(here, &[&["import", "--data", data], &renamed[..]].concat())
    };
    let nobody = refused(import(&one, &to, "one"));
    let words = format!("line 2: there is no identity {to} in the pool {POOL}");
    assert!(nobody.contains(&words), "{nobody}");
    let nowhere = refused(import(&one, &to, "new"));
    assert!(nowhere.contains("new is not a data directory"), "{nowhere}");
    assert!(!here.join("new").exists());
    let engine = Engine::open(here.join("one"), Options::default()).unwrap();
    known(&engine, &[777]);
    engine.close().unwrap();
    drop(engine);
    commands::told(import(&one, &to, "one"));
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
    let none = refused(import(&to, &one, "one"));
    assert!(none.contains("nothing of this identity"), "{none}");
}

#[test]
fn a_line_that_is_refused_is_named_and_nothing_is_made() {
    let home = tempfile::tempdir().unwrap();
    let here = home.path();
    filled(here);
    ran(here, &["export", "--data", "one", "--out", "all"]);
    let text = fs::read_to_string(here.join("all")).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let datasets = |line: &String| line.contains("\"type\":\"dataset\"");
    let at = lines.iter().position(datasets).unwrap() + 2;
    let good = lines[at].clone();
    let twice = r#"{"key":"zz","value":"","sync_count":1,"modified":1,"device_modified":1}"#;
    for (from, to, why) in [
        ("\"sync_count\":1", "\"sync_count\":0", "a count above 0"),
        ("\"games\"", "\"ga mes\"", "dataset"),
        (
            "\"records\":[",
            &*format!("\"records\":[{twice},{twice},"),
            "ordered by sync count",
        ),
    ] {
        lines[at] = good.replacen(from, to, 1);
        assert_ne!(lines[at], good);
        fs::write(here.join("bad"), lines.join("\n") + "\n").unwrap();
        let log = refused(syncline(here, &["import", "--data", "two", "bad"]));
        assert!(log.contains(&format!("line {}: ", at + 1)), "{log}");
        assert!(log.contains(why), "{log}");
        assert!(!here.join("two").exists(), "nothing was made");
    }
    // What only the store can refuse: the same dataset again, in the same batch as others.
    lines[at] = lines[at - 2].clone();
    fs::write(here.join("bad"), lines.join("\n") + "\n").unwrap();
    fs::create_dir(here.join("two")).unwrap();
    fs::write(here.join("two/keys"), "kept").unwrap();
    let log = refused(syncline(here, &["import", "--data", "two", "bad"]));
    assert!(log.contains(&format!("line {}: ", at + 1)), "{log}");
    assert!(log.contains("nothing was imported"), "{log}");
    let left = fs::read_dir(here.join("two")).unwrap();
    let left: Vec<_> = left.map(|found| found.unwrap().file_name()).collect();
    assert_eq!(left, ["keys"]);
}

#[tokio::test]
async fn a_pool_goes_to_a_new_server_with_who_is_in_it() {
    let home = tempfile::tempdir().unwrap();
    let here = home.path();
    let running = serve(here, "one");
    let mut client = running.client().await;
    let (guest, other) = (Guest::new(&mut client).await, Guest::new(&mut client).await);
    assert_eq!(guest.put(&mut client, "level", "7", 0).await.status, 200);
    drop(client);
    stop(running);
    let export = [
        "export",
        "--data",
        "one",
        "--pool",
        &guest.pool,
        "--out",
        "p",
    ];
    ran(here, &export);
    let text = fs::read_to_string(here.join("p")).unwrap();
    assert!(!text.contains(&other.pool));
    for again in [false, true] {
        let said = ran(here, &["import", "--data", "two", "p", "--json"]);
        assert_eq!(said.contains("\"imported\":0"), again, "{said}");
    }
    // The keys are what believes credentials that were given out before.
    fs::copy(here.join("one/keys"), here.join("two/keys")).unwrap();
    let running = serve(here, "two");
    let mut client = running.client().await;
    let listed = guest.list(&mut client).await;
    assert_eq!(listed["Records"][0]["Value"], "7", "{listed}");
    let root = developer("cognito-identity");
    for (pool, status) in [(&guest.pool, 200), (&other.pool, 400)] {
        let body = json!({ "IdentityPoolId": pool, "MaxResults": 9 });
        let answer = client.identity(&root, "ListIdentities", &body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let body = json!({ "IdentityId": guest.identity });
    let answer = client.identity(&root, "DescribeIdentity", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    drop(client);
    stop(running);
}
