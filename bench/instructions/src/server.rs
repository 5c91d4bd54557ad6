//! Signatures and JSON, as of an update of one record and a listing of ten.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use syncline_server::sigv4::{Expected, Signed, SigningKeys, Unverified};
use syncline_server::wire::sync::{ListRecordsOutput, Record, UpdateRecordsInput};
use syncline_server::wire::{EpochSeconds, json};

use crate::{Failure, measured};

/// A moment, in seconds since 1970: the work must not depend on the day.
const NOW: u64 = 1_700_000_000;
const PATH: &str = "/identitypools/us-east-1%3A0b6b4a3e-71c4-4b2e-9b4a-3f2f6f0a7c11/identities/\
                    us-east-1%3A5b1bd5d6-9c21-4a8f-8a60-000000000001/datasets/progress";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn body() -> String {
    let value = "x".repeat(100);
    let token = "t".repeat(300);
    let patch = format!(r#"{{"Op":"replace","Key":"level","Value":"{value}","SyncCount":7}}"#);
    format!(r#"{{"RecordPatches":[{patch}],"SyncSessionToken":"{token}"}}"#)
}

/// Verifies the signature of an update, whose key of the day is known.
pub fn signature(times: u32) -> Result<(), Failure> {
    let (body, host) = (body(), "127.0.0.1:7070");
    let identity = Credentials::from_keys("AKIDEXAMPLE", SECRET, None).into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("cognito-sync")
        .time(UNIX_EPOCH + Duration::from_secs(NOW))
        .settings(SigningSettings::default())
        .build()?
        .into();
    let sent = [("host", host), ("content-type", "application/json")];
    let url = format!("http://{host}{PATH}");
    let signable = SignableBody::Bytes(body.as_bytes());
    let signable = SignableRequest::new("POST", &url, sent.into_iter(), signable)?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    let mut headers: Vec<(&str, &[u8])> = Vec::new();
    for (name, value) in sent.into_iter().chain(instructions.headers()) {
        headers.push((name, value.as_bytes()));
    }
    let request = Unverified {
        method: "POST",
        path: PATH,
        query: "",
        headers: &headers,
        body: body.as_bytes(),
    };
    let expected = Expected {
        service: "cognito-sync",
        regions: &[],
        now: NOW,
    };
    let keys = SigningKeys::new();
    let verify = || -> Result<(), Failure> {
        let signed = Signed::parse(&request, &expected).map_err(|error| error.message)?;
        let signed = signed.ok_or("the request is not signed")?;
        signed
            .verify(SECRET, &keys)
            .map_err(|error| error.message)?;
        Ok(())
    };
    verify()?;
    for _ in 0..times {
        measured(&mut || verify())?;
    }
    Ok(())
}

/// Reads the body of an update.
pub fn json_in(times: u32) -> Result<(), Failure> {
    let body = body();
    for _ in 0..times {
        measured(&mut || {
            let input: UpdateRecordsInput =
                json::read(body.as_bytes()).map_err(|error| error.message)?;
            let patches = input.record_patches.map_or(0, |patches| patches.len());
            if patches != 1 {
                return Err("a body is not what was sent".into());
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Lays out a listing.
pub fn json_out(times: u32) -> Result<(), Failure> {
    let time = EpochSeconds::from_ms(NOW * 1000);
    let record = |number: u64| Record {
        key: format!("key-{number}"),
        value: Some("x".repeat(100)),
        sync_count: number,
        last_modified_date: time,
        last_modified_by: "us-east-1:5b1bd5d6-9c21-4a8f-8a60-000000000001".to_owned(),
        device_last_modified_date: time,
    };
    let output = ListRecordsOutput {
        records: (1..=10).map(record).collect(),
        count: 10,
        dataset_sync_count: 10,
        dataset_exists: true,
        dataset_deleted_after_requested_sync_count: false,
        sync_session_token: "t".repeat(300),
        last_modified_by: None,
        merged_dataset_names: Vec::new(),
        next_token: None,
    };
    for _ in 0..times {
        measured(&mut || {
            if output.to_json().len() < 1000 {
                return Err("a listing is too short".into());
            }
            Ok(())
        })?;
    }
    Ok(())
}
