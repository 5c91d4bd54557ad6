//! UpdateRecords: a list of patches, applied whole or refused with the first stale key.

use std::collections::HashSet;

use syncline_engine::{
    Error, IdentityId, Limit, ModifiedBy, Note, Outcome, Patch, PatchOp, Proposal, Receipt,
    RecordKey, RecordValue, Records, Refusal, SyncCount, Timestamp, Wish,
};

use super::finishing::Finishing;
use super::first_answer::first_answer;
use super::list_records::{record_shape, session_not_valid};
use super::triggered::{self, Triggered};
use super::{Target, invalid};
use crate::access::Caller;
use crate::error::ApiError;
use crate::session::{self, Claim, Place, Session, Unclaimed};
use crate::site::{Site, Store};
use crate::trigger;
use crate::wire::{Object, Violations, json, sync as wire};

/// Longest key and value, in characters, and largest count.
const KEY_CHARS_MAX: usize = syncline_engine::limits::KEY_CHARS_MAX;
const VALUE_CHARS_MAX: usize = syncline_engine::limits::VALUE_CHARS_MAX;
const SYNC_COUNT_MAX: i64 = i64::MAX >> 15;

/// Writes records, and answers as JSON, since they are never copied on the way. The session of the
/// listing before is spent by success only, and the very same request with it gets the same answer
/// again: a client whose answer was lost may just repeat it.
pub(super) async fn update_records(
    site: &Site,
    caller: &Caller,
    target: &Target,
    body: impl AsRef<[u8]>,
) -> Result<Vec<u8>, ApiError> {
    let dataset = target.dataset()?;
    let mut input: wire::UpdateRecordsInput = json::read(body.as_ref())?;
    check(&input)?;
    let patches = patches(input.record_patches.take().unwrap_or_default())?;
    let place = Place {
        pool: dataset.pool.as_str(),
        identity: dataset.identity.as_str(),
        dataset: dataset.name.as_str(),
    };
    let token = input.sync_session_token.as_deref().unwrap_or_default();
    let session =
        Session::read(&site.keys, &place, token, site.now().get()).ok_or_else(session_not_valid)?;
    if patches.is_empty() {
        if site.sessions.contains(session.id) {
            return Err(session_not_valid());
        }
        return Ok(told(&dataset.identity, &Records::default(), &[], &[]));
    }
    let note = session::note(session.id, session::digest("UpdateRecords", body.as_ref()));
    // Others need its room while this one waits for its session or a function.
    drop(body);
    let note = Note::new(note).map_err(invalid)?;
    let claim = match site.sessions.claim(session.id).await {
        Ok(claim) => claim,
        Err(Unclaimed::Crowded) => return Err(crowded()),
        Err(Unclaimed::Spent(commit)) => {
            let answer = first_answer(site, &dataset, commit, &note, &patches);
            return Box::pin(answer).await;
        }
    };
    let triggered = match triggered::function_of(site, caller, target).await? {
        // Its session stays unspent unless something is stored. In a box, as all that is rare
        // here, so that the common way stays small.
        Some(function) => Box::pin(triggered::ask(site, &function, &dataset, patches)).await?,
        None => Triggered::untouched(patches),
    };
    let (written, count, time_ms) = if triggered.patches.is_empty() {
        (Records::default(), None, site.now().get())
    } else {
        let proposal = Proposal {
            note,
            expect: target.still_there()?,
            wishes: vec![Wish::Update {
                dataset: dataset.clone(),
                patches: triggered.patches,
                modified_by: modified_by(site, caller, input.device_id.as_deref())?,
            }],
        };
        let receipt = commit(&site.store, proposal, claim).await;
        let changed = triggered.changed;
        written(receipt.map_err(|error| refused(target, caller, changed, error))?)?
    };
    let left_out = &triggered.left_out;
    let left_out = match left_out[..] {
        [] => Vec::new(),
        _ => {
            Box::pin(triggered::left_out(
                site, &dataset, left_out, count, time_ms,
            ))
            .await?
        }
    };
    let order = &triggered.order;
    Ok(told(&dataset.identity, &written, &left_out, order))
}

/// What a caller is told of an update that was refused, which a function may have changed.
fn refused(target: &Target, caller: &Caller, changed: bool, error: Error) -> ApiError {
    match error {
        // Other limits are not the function's to keep.
        Error::Refusal(
            refusal @ Refusal::LimitExceeded {
                limit: Limit::RecordsPerDataset | Limit::DatasetBytes,
                ..
            },
        ) if changed => trigger::output(&format!(
            "What the function of the SyncTrigger answered cannot be stored: {refusal}"
        )),
        error => target.refused(caller, error),
    }
}

/// The answer, as JSON: what was written, and what a function left out, in the order of the
/// caller's keys if that is not their own.
pub(super) fn told(
    identity: &IdentityId,
    written: &Records,
    left_out: &[wire::Record],
    order: &[RecordKey],
) -> Vec<u8> {
    let written = written.iter();
    let mut records: Vec<_> = written
        .map(|record| record_shape(identity, &record))
        .chain(left_out.iter().map(wire::Record::borrowed))
        .collect();
    triggered::in_order(&mut records, order);
    wire::UpdateRecordsOutput { records }.to_json()
}

/// Commits and spends the session. That goes on when the caller hangs up: the log cannot be called
/// back, so neither may the session be free before its answer is known.
async fn commit(
    store: &Store,
    proposal: Proposal,
    claim: Claim,
) -> Result<Receipt, syncline_engine::Error> {
    let store = store.clone();
    Finishing::new(async move {
        let receipt = store.commit(proposal).await?;
        claim.spend(receipt.sequence, receipt.time.get());
        Ok(receipt)
    })
    .await
}

fn crowded() -> ApiError {
    let message = "This SyncSessionToken is in use by other requests; try again.";
    ApiError::too_many_requests(message).after_ms(1000)
}

fn check(input: &wire::UpdateRecordsInput) -> Result<(), ApiError> {
    let mut violations = Violations::new();
    violations.required("syncSessionToken", input.sync_session_token.as_ref());
    if let Some(device) = &input.device_id {
        violations.length("deviceId", device, 1, 256);
    }
    for (place, Object(patch)) in input.record_patches.iter().flatten().enumerate() {
        check_patch(&mut violations, place + 1, patch);
    }
    violations.finish()
}

fn check_patch(violations: &mut Violations, place: usize, patch: &wire::RecordPatch) {
    let sound = patch
        .key
        .as_ref()
        .is_some_and(|key| !key.is_empty() && key.len() <= KEY_CHARS_MAX)
        && patch
            .value
            .as_ref()
            .is_none_or(|value| value.len() <= VALUE_CHARS_MAX)
        && patch
            .sync_count
            .is_some_and(|count| (0..=SYNC_COUNT_MAX).contains(&count))
        && (patch.op.as_deref() == Some("remove")
            || (patch.op.as_deref() == Some("replace") && patch.value.is_some()));
    if sound {
        // The way of nearly every patch: no name of a member is made for it.
        return;
    }
    let at = |member: &str| format!("recordPatches.{place}.member.{member}");
    violations.required(&at("op"), patch.op.as_ref());
    if let Some(op) = &patch.op {
        violations.one_of(&at("op"), op, &["replace", "remove"]);
    }
    violations.required(&at("key"), patch.key.as_ref());
    if let Some(key) = &patch.key {
        violations.length(&at("key"), key, 1, KEY_CHARS_MAX);
    }
    violations.required(&at("syncCount"), patch.sync_count.as_ref());
    if let Some(count) = patch.sync_count {
        violations.at_least(&at("syncCount"), count, 0);
        violations.at_most(&at("syncCount"), count, SYNC_COUNT_MAX);
    }
    if let Some(value) = &patch.value {
        violations.length(&at("value"), value, 0, VALUE_CHARS_MAX);
    } else if patch.op.as_deref() == Some("replace") {
        violations.required::<String>(&at("value"), None);
    }
}

/// Turns patches that were checked into what the engine takes.
fn patches(wishes: Vec<Object<wire::RecordPatch>>) -> Result<Vec<Patch>, ApiError> {
    let mut keys = HashSet::with_capacity(wishes.len());
    let mut patches = Vec::with_capacity(wishes.len());
    for Object(wish) in wishes {
        let key = RecordKey::parse(&wish.key.unwrap_or_default()).map_err(invalid)?;
        if !keys.insert(key.clone()) {
            return Err(ApiError::invalid_parameter(format!(
                "Keys of RecordPatches must be unique: '{key}' comes more than once"
            )));
        }
        // A remove may come with a value, which means nothing.
        let op = match (wish.op.as_deref(), wish.value) {
            (Some("replace"), Some(value)) => {
                PatchOp::Replace(RecordValue::parse(value).map_err(invalid)?)
            }
            _ => PatchOp::Remove,
        };
        let count = u64::try_from(wish.sync_count.unwrap_or(0)).unwrap_or(0);
        let device_modified = wish
            .device_last_modified_date
            .map(|time| Timestamp::new(time.ms))
            .transpose();
        patches.push(Patch {
            key,
            op,
            sync_count: SyncCount::new(count).map_err(invalid)?,
            device_modified: device_modified.map_err(invalid)?,
        });
    }
    Ok(patches)
}

/// A device if it names itself, else the identity; what a developer writes has the account.
pub(super) fn modified_by(
    site: &Site,
    caller: &Caller,
    device: Option<&str>,
) -> Result<ModifiedBy, ApiError> {
    match (caller, device) {
        (Caller::Developer(_), _) => ModifiedBy::other(&site.config.account_id).map_err(invalid),
        (Caller::Identity { .. }, Some(device)) => ModifiedBy::other(device).map_err(invalid),
        (Caller::Identity { .. }, None) => Ok(ModifiedBy::Owner),
    }
}

/// The records that a commit wrote, its count of the dataset, and its time.
fn written(receipt: Receipt) -> Result<(Records, Option<SyncCount>, u64), ApiError> {
    let Some(Outcome::Updated {
        sync_count,
        records,
    }) = receipt.outcomes.into_iter().next()
    else {
        return Err(ApiError::bug("an update without its outcome"));
    };
    Ok((records, Some(sync_count), receipt.time.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        let input: wire::UpdateRecordsInput = json::read(body.as_bytes()).unwrap();
        check(&input)
            .and_then(|()| patches(input.record_patches.unwrap_or_default()))
            .unwrap_err()
            .message
    }

    #[test]
    fn patches_are_checked_member_by_member() {
        let good = r#"{"Op":"replace","Key":"a","Value":"","SyncCount":0}"#;
        for (patch, reason) in [
            (
                r#"{"Op":"replace","Key":"k","SyncCount":0}"#,
                "Value null at '2.value'",
            ),
            (
                r#"{"Op":"replace","Key":"k","Value":null,"SyncCount":0}"#,
                "at '2.value'",
            ),
            (
                r#"{"Op":"Replace","Key":"k","Value":"","SyncCount":0}"#,
                "Value 'Replace' at '2.op'",
            ),
            (
                r#"{"Op":"r","Key":"k","Value":"","SyncCount":0}"#,
                "value set: [replace, remove]",
            ),
            (
                r#"{"Key":"k","Value":"","SyncCount":0}"#,
                "Value null at '2.op'",
            ),
            (r#"{"Op":"remove","SyncCount":0}"#, "Value null at '2.key'"),
            (
                r#"{"Op":"remove","Key":"","SyncCount":0}"#,
                "length greater than or equal to 1",
            ),
            (
                r#"{"Op":"remove","Key":"k"}"#,
                "Value null at '2.syncCount'",
            ),
            (
                r#"{"Op":"remove","Key":"k","SyncCount":-1}"#,
                "Value '-1' at '2.syncCount'",
            ),
            (
                r#"{"Op":"remove","Key":"k","SyncCount":281474976710656}"#,
                "to 281474976710655",
            ),
            (
                r#"{"Op":"remove","Key":"a","SyncCount":0}"#,
                "'a' comes more than once",
            ),
        ] {
            let body = format!(r#"{{"SyncSessionToken":"t","RecordPatches":[{good},{patch}]}}"#);
            let message = refused(&body).replace("recordPatches.2.member.", "2.");
            assert!(message.contains(reason), "{patch}: {message}");
        }
        assert!(refused("{}").contains("Value null at 'syncSessionToken'"));
        let device = format!(
            r#"{{"SyncSessionToken":"t","DeviceId":"{}"}}"#,
            "d".repeat(257)
        );
        assert!(refused(&device).contains("at 'deviceId'"));
    }

    #[test]
    fn the_value_of_a_remove_means_nothing() {
        let patch = |op: &str, value: Option<&str>| wire::RecordPatch {
            op: Some(op.to_owned()),
            key: Some(format!("{op}{value:?}")),
            value: value.map(str::to_owned),
            sync_count: Some(3),
            device_last_modified_date: None,
        };
        let ops = patches(vec![
            Object(patch("remove", Some("x"))),
            Object(patch("remove", None)),
            Object(patch("replace", Some(""))),
        ])
        .unwrap();
        assert_eq!(ops[0].op, PatchOp::Remove);
        assert_eq!(ops[1].op, PatchOp::Remove);
        assert_eq!(ops[2].op, PatchOp::Replace(RecordValue::parse("").unwrap()));
    }
}
