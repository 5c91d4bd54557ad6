//! The route tables against the machine-readable models of both APIs.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use syncline_server::routes::{IdentityOperation, Labels, SyncOperation, resolve};
use syncline_tests::workspace;

fn model(name: &str) -> Value {
    let path = workspace().join("tests/models").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn operations(model: &Value) -> BTreeSet<&str> {
    model["operations"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Fills the labels of a path with names of their own, which a proper id may look like.
fn filled(template: &str) -> (String, Labels) {
    let labels = Labels {
        pool: "us-east-1:aa".to_owned(),
        identity: "us-east-1:bb".to_owned(),
        dataset: "game.1".to_owned(),
        device: "a/b c".to_owned(),
    };
    let mut named = Labels::default();
    let mut path = template.to_owned();
    for (label, sent, value, place) in [
        (
            "{IdentityPoolId}",
            "us-east-1%3Aaa",
            &labels.pool,
            &mut named.pool,
        ),
        (
            "{IdentityId}",
            "us-east-1:bb",
            &labels.identity,
            &mut named.identity,
        ),
        (
            "{DatasetName}",
            "game.1",
            &labels.dataset,
            &mut named.dataset,
        ),
        ("{DeviceId}", "a%2Fb%20c", &labels.device, &mut named.device),
    ] {
        if path.contains(label) {
            path = path.replace(label, sent);
            place.clone_from(value);
        }
    }
    assert!(
        !path.contains('{'),
        "{template} has a label of another name"
    );
    (path, named)
}

#[test]
fn every_path_of_the_model_leads_to_its_operation() {
    let model = model("cognito-sync.json");
    for (name, operation) in model["operations"].as_object().unwrap() {
        let http = &operation["http"];
        let (path, named) = filled(http["requestUri"].as_str().unwrap());
        let (found, labels) = resolve(http["method"].as_str().unwrap(), &path).unwrap();
        assert_eq!(found.name(), name);
        assert_eq!(labels, named, "{name}");
        assert_eq!(http["responseCode"], 200, "{name}");
    }
}

#[test]
fn the_server_knows_the_operations_of_the_models_and_no_others() {
    let sync = model("cognito-sync.json");
    let known: BTreeSet<_> = SyncOperation::ALL
        .iter()
        .map(|operation| operation.name())
        .collect();
    assert_eq!(known, operations(&sync));
    assert_eq!(known.len(), 17);
    let identity = model("cognito-identity.json");
    let known: BTreeSet<_> = IdentityOperation::ALL
        .iter()
        .map(|operation| operation.name())
        .collect();
    assert_eq!(known, operations(&identity));
}

#[test]
fn what_the_model_leaves_unsigned_is_not_asked_for_a_signature() {
    let model = model("cognito-identity.json");
    for operation in IdentityOperation::ALL {
        let of_model = &model["operations"][operation.name()];
        assert_eq!(
            operation.is_signed(),
            of_model["authtype"] != "none",
            "{}",
            operation.name()
        );
        let target = format!("AWSCognitoIdentityService.{}", operation.name());
        assert_eq!(IdentityOperation::resolve(&target).unwrap(), *operation);
    }
    assert_eq!(
        model["metadata"]["targetPrefix"],
        "AWSCognitoIdentityService"
    );
}
