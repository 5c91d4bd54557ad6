//! The function of a pool: what it is shown, what it may change, and what comes of it when it
//! fails.

mod large;
mod scene;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::client::Answer;
use crate::webservice::{Seen, Told, WebService};
use scene::{ARN, Scene, UNUSABLE, remove, send, told, write};

#[tokio::test]
async fn a_function_sees_the_whole_dataset_and_changes_what_is_stored() {
    let mut scene = Scene::new().await;
    let first = json!([write("a", "1", 0), write("b", "2", 0), write("c", "3", 0)]);
    let second = json!([write("a", "10", 1), remove("b", 1), write("d", "4", 0)]);
    scene.update(&first).await;
    scene.function.changes(|event| {
        let records = &mut event["datasetRecords"];
        // One that the client wrote, one that it did not touch, one that is new.
        records["a"]["newValue"] = json!("11");
        records["c"]["newValue"] = Value::Null;
        records["z"] = json!({ "newValue": "26", "op": "replace" });
    });
    let answer = scene.update(&second).await;
    let expected = json!([
        ["a", "11", 2],
        ["b", null, 2],
        ["d", "4", 2],
        ["c", null, 2],
        ["z", "26", 2]
    ]);
    assert_eq!(told(&answer), expected);
    let stored = json!({ "a": "11", "b": null, "c": null, "d": "4", "z": "26" });
    assert_eq!(scene.stored().await, (stored, 2));
    let seen = scene.function.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].path, "/called");
    assert_eq!(seen[1].header("content-type"), Some("application/json"));
    assert_eq!(seen[1].header("x-syncline-signature"), None);
    let (pool, identity) = (&scene.guest.pool, &scene.guest.identity);
    let event = json!({
        "version": 2,
        "eventType": "SyncTrigger",
        "region": "us-east-1",
        "identityPoolId": pool,
        "identityId": identity,
        "datasetName": "game",
        "datasetRecords": {
            "a": { "oldValue": "1", "newValue": "10", "op": "replace" },
            "b": { "oldValue": "2", "newValue": null, "op": "remove" },
            "c": { "oldValue": "3", "newValue": "3", "op": "replace" },
            "d": { "oldValue": null, "newValue": "4", "op": "replace" },
        },
    });
    assert_eq!(seen[1].json(), event);
}

#[tokio::test]
async fn what_a_function_leaves_out_is_not_written_and_is_told_as_it_is() {
    let mut scene = Scene::new().await;
    scene.update(&json!([write("a", "1", 0)])).await;
    scene.function.changes(|event| {
        let records = event["datasetRecords"].as_object_mut().unwrap();
        records.remove("a");
        records.remove("new");
    });
    let patches = json!([write("new", "5", 0), write("a", "2", 1), write("b", "3", 0)]);
    let token = scene.token().await;
    let answer = send(&scene.guest, &mut scene.client, &token, &patches, false).await;
    let expected = json!([["new", null, 2], ["a", "1", 1], ["b", "3", 2]]);
    assert_eq!(told(&answer), expected);
    // The same request again gets the first answer, and the function is not asked.
    let again = send(&scene.guest, &mut scene.client, &token, &patches, false).await;
    assert_eq!(answer.json(), again.json());
    assert_eq!(scene.function.seen().len(), 2);
    assert_eq!(scene.stored().await, (json!({ "a": "1", "b": "3" }), 2));
    // All of them left out: nothing is stored, the count and the session stay.
    scene
        .function
        .changes(|event| event["datasetRecords"] = json!({}));
    let token = scene.token().await;
    let patches = json!([write("a", "9", 1), write("x", "9", 0)]);
    let answer = send(&scene.guest, &mut scene.client, &token, &patches, false).await;
    assert_eq!(told(&answer), json!([["a", "1", 1], ["x", null, 2]]));
    assert_eq!(scene.stored().await, (json!({ "a": "1", "b": "3" }), 2));
    scene.function.changes(|_| ());
    let answer = send(&scene.guest, &mut scene.client, &token, &patches, false).await;
    assert_eq!(told(&answer), json!([["a", "9", 3], ["x", "9", 3]]));
}

#[tokio::test]
async fn a_removed_record_that_comes_again_has_no_old_value_and_others_do_not_show() {
    let mut scene = Scene::new().await;
    let all = json!([write("a", "1", 0), write("b", "2", 0), write("c", "3", 0)]);
    scene.update(&all).await;
    scene.update(&json!([remove("a", 1), remove("b", 1)])).await;
    // The function may write one that it is not shown.
    scene.function.changes(|event| {
        event["datasetRecords"]["b"] = json!({ "newValue": "22", "op": "replace" });
    });
    let answer = scene.update(&json!([write("a", "11", 2)])).await;
    assert_eq!(told(&answer), json!([["a", "11", 3], ["b", "22", 3]]));
    let seen = scene.function.seen();
    let expected = json!({
        "a": { "oldValue": null, "newValue": "11", "op": "replace" },
        "c": { "oldValue": "3", "newValue": "3", "op": "replace" },
    });
    assert_eq!(seen[2].json()["datasetRecords"], expected);
}

type Answering = Box<dyn Fn(&Seen) -> Told + Send + Sync>;

/// Answers that change the event so.
fn whole(change: fn(&mut Value)) -> Answering {
    Box::new(move |seen| {
        let mut event = seen.json();
        change(&mut event);
        Told::json(&event)
    })
}

fn status(status: u16) -> Answering {
    Box::new(move |_| Told::status(status))
}

/// What a function may do wrong, and words of what the client is told of it.
fn wrong_outputs() -> Vec<(Answering, &'static str)> {
    vec![
        (status(500), "failed"),
        (status(302), "failed"),
        (status(403), "failed"),
        (status(200), "unusable"),
        (Box::new(|_| Told::json(&json!([]))), "expected an object"),
        (
            whole(|event| event["identityId"] = json!("other")),
            "it changed identityId",
        ),
        (
            whole(|event| event["datasetRecords"]["a"]["newValue"] = json!(7)),
            "expected a string",
        ),
        (
            whole(|event| {
                event["datasetRecords"]["a"]["newValue"] = json!("v".repeat(1 << 20));
            }),
            "unusable",
        ),
        (
            // Each value is within its limit, together they are not.
            whole(|event| {
                for key in ["a", "b"] {
                    let value = "v".repeat(600_000);
                    event["datasetRecords"][key] = json!({ "newValue": value, "op": "replace" });
                }
            }),
            "cannot be stored",
        ),
    ]
}

#[tokio::test]
async fn each_failure_has_its_exception_and_nothing_is_stored() {
    let mut scene = Scene::new().await;
    scene.update(&json!([write("a", "1", 0)])).await;
    let patches = json!([write("a", "2", 1)]);
    let token = scene.token().await;
    let of_output = wrong_outputs().into_iter();
    let mut cases: Vec<_> = of_output
        .map(|(answering, words)| (answering, 400, UNUSABLE, words))
        .collect();
    let never: Answering = Box::new(|_| Told::Never);
    cases.push((status(429), 429, "LambdaThrottledException", "throttled"));
    cases.push((never, 400, "LambdaSocketTimeoutException", "5 seconds"));
    for (answering, status, name, words) in cases {
        scene.function.answers(answering);
        let answer = send(&scene.guest, &mut scene.client, &token, &patches, false).await;
        let message = answer.exception(status, name);
        assert!(message.contains(words), "{words}: {message}");
        assert_eq!(scene.stored().await, (json!({ "a": "1" }), 1), "{words}");
    }
    // The session was spent by none of them.
    scene.function.changes(|_| ());
    let answer = send(&scene.guest, &mut scene.client, &token, &patches, false).await;
    assert_eq!(told(&answer), json!([["a", "2", 2]]));
}

#[tokio::test]
async fn a_function_that_is_not_there_or_not_known_fails_the_update() {
    // Nobody listens on the first port.
    let mut scene = Scene::with(|_| "url = \"http://127.0.0.1:1/\"".to_owned()).await;
    let patches = json!([write("a", "1", 0)]);
    let message = scene.update(&patches).await.exception(400, UNUSABLE);
    assert!(message.contains("cannot be reached"), "{message}");
    scene.set("arn:aws:lambda:us-east-1:1:function:other").await;
    let message = scene.update(&patches).await.exception(400, UNUSABLE);
    assert!(message.contains("not configured"), "{message}");
    assert_eq!(scene.stored().await, (json!({}), 0));
    scene.behind(&patches).await;
    scene.set("").await;
    let answer = scene.update(&json!([write("a", "2", 1)])).await;
    assert_eq!(told(&answer), json!([["a", "2", 2]]));
    assert!(scene.function.seen().is_empty());
}

#[tokio::test]
async fn a_function_that_is_down_is_spared() {
    let mut scene = Scene::new().await;
    scene.function.answers(|_| Told::status(503));
    let patches = json!([write("a", "1", 0)]);
    let mut messages = Vec::new();
    for _ in 0..7 {
        messages.push(scene.update(&patches).await.exception(400, UNUSABLE));
    }
    assert_eq!(scene.function.seen().len(), 5);
    assert!(messages.iter().all(|message| *message == messages[0]));
    let page = scene.client.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let page = page.await.text().to_owned();
    for line in [
        format!("syncline_trigger_calls_total{{function=\"{ARN}\",outcome=\"failed\"}} 5"),
        format!("syncline_trigger_calls_total{{function=\"{ARN}\",outcome=\"down\"}} 2"),
        format!("syncline_trigger_down{{function=\"{ARN}\"}} 1"),
        format!("syncline_trigger_seconds_count{{function=\"{ARN}\"}} 5"),
    ] {
        assert!(
            page.lines().any(|found| found == line),
            "no {line} in\n{page}"
        );
    }
}

#[tokio::test]
async fn a_function_that_is_down_costs_no_look_at_the_records() {
    let mut scene = Scene::new().await;
    scene.behind(&json!([write("a", "1", 0)])).await;
    scene.function.answers(|_| Told::status(503));
    let patches = json!([write("b", "1", 0)]);
    for _ in 0..5 {
        scene.update(&patches).await.exception(400, UNUSABLE);
    }
    // Stale, which only one who looks could say.
    let stale = scene.update(&json!([write("a", "2", 0)])).await;
    let message = stale.exception(400, UNUSABLE);
    assert!(message.contains("cannot be reached"), "{message}");
}

#[tokio::test]
async fn a_caller_who_hangs_up_hides_no_slow_function() {
    let mut scene = Scene::new().await;
    scene.function.answers(|_| Told::Never);
    let patches = json!([write("a", "1", 0)]);
    for _ in 0..5 {
        let token = scene.token().await;
        let mut client = scene.server.client().await;
        let before = scene.function.seen().len();
        tokio::select! {
            _ = send(&scene.guest, &mut client, &token, &patches, false) => panic!("an answer"),
            _ = scene.function.has_seen(before + 1) => {}
        }
    }
    let down = format!("syncline_trigger_down{{function=\"{ARN}\"}} 1");
    loop {
        let page = scene.client.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        let page = page.await.text().to_owned();
        if page.lines().any(|line| line == down) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let answer = scene.update(&patches).await;
    answer.exception(400, "LambdaSocketTimeoutException");
    assert_eq!(scene.function.seen().len(), 5);
}

#[tokio::test]
async fn an_update_that_is_stale_or_too_large_itself_is_refused_as_ever() {
    let mut scene = Scene::new().await;
    scene.update(&json!([write("a", "1", 0)])).await;
    let answer = scene.update(&json!([write("a", "2", 0)])).await;
    let message = answer.exception(409, "ResourceConflictException");
    assert_eq!(message, "Current SyncCount for: a is: 1 not: 0");
    // The function was not even asked.
    assert_eq!(scene.function.seen().len(), 1);
    let value = "v".repeat(600_000);
    let large = json!([write("b", &value, 0), write("c", &value, 0)]);
    scene
        .update(&large)
        .await
        .exception(400, "LimitExceededException");
}

/// An update of `a`, to which the function adds one of `b`, while the developer writes something.
async fn race(meanwhile: &Value) -> Answer {
    let mut scene = Scene::new().await;
    let both = json!([write("a", "1", 0), write("b", "1", 0)]);
    scene.update(&both).await;
    let held = Arc::new(Notify::new());
    let holding = Arc::clone(&held);
    scene.function.answers(move |seen| {
        let mut event = seen.json();
        event["datasetRecords"]["b"]["newValue"] = json!("2");
        Told::Held(Arc::clone(&holding), Box::new(Told::json(&event)))
    });
    let token = scene.token().await;
    let (patches, mut second) = (json!([write("a", "2", 1)]), scene.server.client().await);
    let (guest, client, function) = (&scene.guest, &mut scene.client, &scene.function);
    let updating = send(guest, &mut second, &token, &patches, false);
    let meanwhile = async {
        function.has_seen(2).await;
        let listed = guest.list(client).await;
        let token = listed["SyncSessionToken"].as_str().unwrap();
        let answer = send(guest, client, token, meanwhile, true).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        held.notify_one();
    };
    tokio::join!(updating, meanwhile).0
}

#[tokio::test]
async fn what_changes_while_a_function_thinks_is_never_overwritten() {
    // Another record: both stand.
    let answer = race(&json!([write("c", "9", 0)])).await;
    assert_eq!(told(&answer), json!([["a", "2", 3], ["b", "2", 3]]));
    // The one that the client writes, and the one that only the function writes.
    for key in ["a", "b"] {
        let answer = race(&json!([write(key, "9", 1)])).await;
        let message = answer.exception(409, "ResourceConflictException");
        let expected = format!("Current SyncCount for: {key} is: 2 not: 1");
        assert_eq!(message, expected);
    }
}

#[tokio::test]
async fn too_many_calls_at_once_are_throttled_and_a_retry_waits_for_its_first_try() {
    let section = |function: &WebService| format!("url = \"{}\"\nconcurrency = 1", function.url());
    let mut scene = Scene::with(section).await;
    let held = Arc::new(Notify::new());
    let holding = Arc::clone(&held);
    scene
        .function
        .answers(move |seen| Told::Held(Arc::clone(&holding), Box::new(Told::json(&seen.json()))));
    let (token, other) = (scene.token().await, scene.token().await);
    let patches = json!([write("a", "1", 0)]);
    let (mut one, mut two) = (scene.server.client().await, scene.server.client().await);
    let (guest, function) = (&scene.guest, &scene.function);
    let first = send(guest, &mut one, &token, &patches, false);
    let rest = async {
        function.has_seen(1).await;
        let answer = send(guest, &mut two, &other, &patches, false).await;
        answer.exception(429, "LambdaThrottledException");
        answer.has("Retry-After: 1");
        held.notify_one();
        send(guest, &mut two, &token, &patches, false).await
    };
    let (first, retried) = tokio::join!(first, rest);
    assert_eq!(told(&first), json!([["a", "1", 1]]));
    assert_eq!(first.json(), retried.json());
    assert_eq!(scene.function.seen().len(), 1);
}

#[tokio::test]
async fn a_function_of_lambda_is_invoked_as_lambda_wants_it() {
    let section = |function: &WebService| {
        format!(
            "type = \"lambda\"\nendpoint_url = \"http://{}\"\nregion = \"eu-west-1\"\n\
             access_key_id = \"AKIAF\"\nsecret_access_key = \"s3cret\"",
            function.address
        )
    };
    let mut scene = Scene::with(section).await;
    let answer = scene.update(&json!([write("a", "1", 0)])).await;
    assert_eq!(told(&answer), json!([["a", "1", 1]]));
    let seen = scene.function.seen().remove(0);
    let path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000\
                %3Afunction%3Acheck/invocations";
    assert_eq!(seen.path, path);
    assert_eq!(
        seen.header("x-amz-invocation-type"),
        Some("RequestResponse")
    );
    assert_eq!(seen.signed_by("lambda", "s3cret"), "AKIAF");
    // A function that failed answers 200 all the same.
    scene.function.answers(|seen| {
        let failed = vec![("X-Amz-Function-Error", "Unhandled".to_owned())];
        Told::Now(200, failed, seen.json().to_string())
    });
    let answer = scene.update(&json!([write("a", "2", 1)])).await;
    answer.exception(400, UNUSABLE);
    scene.function.answers(|_| Told::status(429));
    let answer = scene.update(&json!([write("a", "2", 1)])).await;
    answer.exception(429, "LambdaThrottledException");
    assert_eq!(scene.stored().await, (json!({ "a": "1" }), 1));
}
