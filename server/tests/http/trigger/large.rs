//! Events that are too large to be laid out, signed and read beside other requests.

use std::collections::BTreeMap;
use std::thread;

use syncline_server::config::FunctionConfig;
use syncline_server::trigger::{Event, Op, Shown, Triggers};

use super::*;

fn lambda(function: &WebService) -> String {
    format!(
        "type = \"lambda\"\nendpoint_url = \"http://{}\"\nregion = \"eu-west-1\"\n\
         access_key_id = \"AKIAF\"\nsecret_access_key = \"s3cret\"",
        function.address
    )
}

#[tokio::test]
async fn a_large_dataset_is_shown_whole_and_signed() {
    let mut scene = Scene::with(lambda).await;
    let (old, new) = ("o".repeat(400_000), "n".repeat(400_000));
    scene.behind(&json!([write("a", &old, 0)])).await;
    let patches = json!([write("a", &new, 1), write("b", &old, 0)]);
    scene.function.changes(|event| {
        event["datasetRecords"]["b"]["newValue"] = json!("short");
    });
    let answer = scene.update(&patches).await;
    assert_eq!(told(&answer), json!([["a", new, 2], ["b", "short", 2]]));
    let seen = scene.function.seen().remove(0);
    assert_eq!(seen.signed_by("lambda", "s3cret"), "AKIAF");
    let expected = json!({
        "a": { "oldValue": old, "newValue": new, "op": "replace" },
        "b": { "oldValue": null, "newValue": old, "op": "replace" },
    });
    assert_eq!(seen.json()["datasetRecords"], expected);
    // What is stale is found out just as in a small one.
    let stale = scene.update(&json!([write("a", &old, 1)])).await;
    stale.exception(409, "ResourceConflictException");
    // And so is what is wrong with a large answer.
    scene
        .function
        .changes(|event| event["region"] = json!("other"));
    let answer = scene.update(&json!([write("a", &old, 2)])).await;
    let message = answer.exception(400, UNUSABLE);
    assert!(message.contains("it changed region"), "{message}");
    let stored = json!({ "a": new, "b": "short" });
    assert_eq!(scene.stored().await, (stored, 2));
}

/// Whether the answer of a function to an event with a value of this length, changed by the
/// function to one of that, is learned from on the thread of the caller.
async fn is_learned_here(sent: usize, answered: usize) -> bool {
    let function = WebService::start().await;
    function.changes(move |event| {
        event["datasetRecords"]["a"]["newValue"] = json!("v".repeat(answered));
    });
    let config: FunctionConfig = toml::from_str(&lambda(&function)).unwrap();
    let triggers = Triggers::new(&BTreeMap::from([(ARN.to_owned(), config)]), 1 << 20);
    let value = "v".repeat(sent);
    let shown = Shown {
        old_value: None,
        new_value: Some(&value),
        op: Op::Replace,
    };
    let event = Event {
        version: 2,
        event_type: "SyncTrigger",
        region: "us-east-1",
        identity_pool_id: "r:1",
        identity_id: "r:2",
        dataset_name: "game",
        dataset_records: BTreeMap::from([("a", shown)]),
    };
    let call = triggers.place(ARN).unwrap();
    let event = call.lay_out(&event, 1_700_000_000).unwrap();
    let learned = call.ask(event, |_| thread::current().id()).await;
    learned.unwrap() == thread::current().id()
}

// All of its requests run on one thread.
#[tokio::test]
async fn large_answers_are_read_where_they_hold_up_nobody() {
    assert!(is_learned_here(1000, 1000).await);
    assert!(!is_learned_here(1000, 200_000).await);
    assert!(!is_learned_here(200_000, 1000).await);
}
