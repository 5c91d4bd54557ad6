//! The operations of Kinesis, on the stream of one pool.

use serde_json::{Value, json};
use syncline_server::routes::KinesisOperation;

use super::table::{COLUMNS, Column, KINESIS};
use super::{Town, row, symbol, text, unsigned};
use crate::client::{Answer, Client};
use crate::signed::developer;

async fn ask(
    town: &Town,
    client: &mut Client,
    operation: KinesisOperation,
    body: &Value,
    column: Column,
) -> Answer {
    let target = format!("Kinesis_20131202.{}", operation.name());
    let body = body.to_string();
    match town.credentials(column) {
        Some(credentials) => {
            let signer = credentials.signer("kinesis");
            let headers = [("X-Amz-Target", target.as_str())];
            client
                .signed(&signer, "POST", "/", &headers, body.as_bytes())
                .await
        }
        None => {
            let header = format!("X-Amz-Target: {target}\r\n");
            unsigned(client, "POST", "/", &header, body.as_bytes()).await
        }
    }
}

#[tokio::test]
async fn every_cell_of_a_stream_answers_as_the_table_says() {
    let (town, server) = Town::build().await;
    let mut client = server.client().await;
    let path = format!("/identitypools/{}/configuration", town.pool);
    let body = r#"{"CognitoStreams":{"StreamName":"s","StreamingStatus":"ENABLED"}}"#;
    let root = developer("cognito-sync");
    let set = client.signed(&root, "POST", &path, &[], body.as_bytes());
    assert_eq!(set.await.status, 200);
    // One body for all operations: each takes the members that it knows.
    let mut body = json!({
        "StreamName": "s",
        "ShardId": "shardId-000000000000",
        "ShardIteratorType": "LATEST",
    });
    let operation = KinesisOperation::GetShardIterator;
    let given = ask(&town, &mut client, operation, &body, Column::Root).await;
    body["ShardIterator"] = text(&given.json(), "ShardIterator").into();
    let mut wrong = Vec::new();
    for operation in KinesisOperation::ALL {
        let name = operation.name();
        for (column, expected) in COLUMNS.into_iter().zip(row(&KINESIS, name).chars()) {
            let answer = ask(&town, &mut client, *operation, &body, column).await;
            let found = symbol(&answer);
            // Whoever may read it gets it: all members are right.
            let is_right = expected != '.' || answer.status == 200;
            if found != expected || !is_right {
                wrong.push(format!("{name} {column:?}: {found} {}", answer.text()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not as the table says:\n{}",
        wrong.join("\n")
    );
    assert_eq!(KINESIS.len(), KinesisOperation::ALL.len());
}
