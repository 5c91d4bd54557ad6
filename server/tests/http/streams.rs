//! Streams of a real server process: every change arrives, whatever is killed in between.

mod bulk;
mod commands;
mod files;
mod receiver;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::serving;
use crate::process::Running;
use crate::signed::{Guest, developer};

/// Nothing here takes nearly so long; it only ends what hangs.
const HANGS: Duration = Duration::from_secs(90);

/// The records of a dataset: value and count by key.
type Records = BTreeMap<String, (String, u64)>;

/// Starts a server in a directory with what a configuration file says beside small segments.
pub(crate) fn start(directory: &Path, configuration: &str) -> Running {
    let engine = "[engine]\nsegment_bytes = 1048576\n";
    let engine = if configuration.contains("[engine]") {
        ""
    } else {
        engine
    };
    let text = format!("{configuration}\n{engine}");
    std::fs::write(directory.join("syncline.toml"), text).unwrap();
    let mut command = serving(directory, "data", &["--config", "syncline.toml"]);
    // Nobody reads it before the end; a pipe that is full would stop the server.
    command.env("RUST_LOG", "warn");
    Running::start(command)
}

/// The same, and a guest of a pool whose changes go to the stream `out`.
pub(crate) async fn streaming(directory: &Path, configuration: &str) -> (Running, Client, Guest) {
    let running = start(directory, configuration);
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    enable(&mut client, &guest.pool, "out").await;
    (running, client, guest)
}

/// Polls until something is there.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < HANGS, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks as the developer, beneath a pool.
pub(crate) async fn ask(client: &mut Client, pool: &str, what: &str, body: &Value) -> Value {
    let answer = try_ask(client, pool, what, body).await;
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    answer.json()
}

pub(crate) async fn try_ask(
    client: &mut Client,
    pool: &str,
    what: &str,
    body: &Value,
) -> crate::client::Answer {
    let path = format!("/identitypools/{}/{what}", pool.replace(':', "%3A"));
    let method = if body.is_null() && what == "configuration" {
        "GET"
    } else {
        "POST"
    };
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let developer = developer("cognito-sync");
    client
        .signed(&developer, method, &path, &[], body.as_bytes())
        .await
}

/// Enables a stream for a pool.
pub(crate) async fn enable(client: &mut Client, pool: &str, stream: &str) {
    let streams = json!({ "StreamName": stream, "StreamingStatus": "ENABLED" });
    ask(
        client,
        pool,
        "configuration",
        &json!({ "CognitoStreams": streams }),
    )
    .await;
}

/// What the server says of a pool's stream.
pub(crate) async fn configured(client: &mut Client, pool: &str) -> Value {
    let answer = ask(client, pool, "configuration", &Value::Null).await;
    answer["CognitoStreams"].clone()
}

/// The envelopes in a directory of files, in their order; a last line without end is left out.
pub(crate) fn envelopes(directory: &Path) -> Vec<Value> {
    let Ok(found) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = found
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".ndjson"))
        .collect();
    names.sort_by_key(|name| name.rsplit('-').next().unwrap().to_owned());
    let mut envelopes = Vec::new();
    for name in names {
        let text = std::fs::read_to_string(directory.join(&name)).unwrap();
        for line in text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
        {
            let parsed = serde_json::from_str(line);
            envelopes.push(parsed.unwrap_or_else(|error| panic!("{name}: {error}: {line:?}")));
        }
    }
    envelopes
}

/// What a consumer makes of envelopes: the datasets of each identity. Repeats are dropped by their
/// ids; of each dataset counts must rise, except for what is whole, which must not fall behind.
pub(crate) fn rebuilt(envelopes: &[Value]) -> BTreeMap<(String, String), Records> {
    let mut known = BTreeSet::new();
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut datasets: BTreeMap<(String, String), Records> = BTreeMap::new();
    for envelope in envelopes {
        if !known.insert(text(&envelope["eventId"])) {
            continue;
        }
        let name = text(&envelope["datasetName"]);
        assert_eq!(envelope["dataSetName"], name.as_str());
        let place = (text(&envelope["identityId"]), name);
        let count = envelope["syncCount"].as_u64().unwrap();
        let whole = envelope["whole"] == true;
        let last = counts.insert(place.clone(), count).unwrap_or(0);
        if whole {
            assert!(count >= last, "{place:?}: {count} behind {last}");
        } else if last > 0 {
            assert_eq!(
                count,
                last + 1,
                "{place:?}: something is missing or out of order"
            );
        }
        if envelope["operation"] == "remove" {
            datasets.remove(&place);
            continue;
        }
        let records = datasets.entry(place).or_default();
        if whole {
            records.clear();
        }
        for record in envelope["kinesisSyncRecords"].as_array().unwrap() {
            let key = text(&record["key"]);
            if record["op"] == "remove" {
                records.remove(&key);
            } else {
                let count = record["syncCount"].as_u64().unwrap();
                records.insert(key, (text(&record["value"]), count));
            }
        }
    }
    datasets
}

/// The dataset that [`Guest::put`] writes, as the server has it, and its count.
pub(crate) async fn listed(client: &mut Client, guest: &Guest) -> (Records, u64) {
    let listed = guest.list(client).await;
    let count = listed["DatasetSyncCount"].as_u64().unwrap();
    let records = listed["Records"].as_array().unwrap().iter();
    let live = records.filter_map(|record| {
        let value = record["Value"].as_str()?.to_owned();
        let count = record["SyncCount"].as_u64().unwrap();
        Some((text(&record["Key"]), (value, count)))
    });
    (live.collect(), count)
}

/// Writes one value whatever was there.
pub(crate) async fn write(client: &mut Client, guest: &Guest, key: &str, value: &str) {
    let (records, _) = listed(client, guest).await;
    let count = records.get(key).map_or(0, |(_, count)| *count);
    let answer = guest.put(client, key, value, count).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}
