//! GetCognitoEvents and SetCognitoEvents: the function that a pool runs before records are stored.

use syncline_engine::{Error, Expected, Proposal, Refusal, Wish};

use super::{Target, no_pool};
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{self, EventsRecord};
use crate::wire::device::EmptyOutput;
use crate::wire::{Pairs, Violations, arn, json, settings as wire};

/// The only event that there is.
const SYNC_TRIGGER: &str = "SyncTrigger";
/// Longest name of a function; the model bounds it nowhere.
const FUNCTION_CHARS_MAX: usize = 2048;

/// Tells the functions of a pool.
pub(super) async fn get(
    site: &Site,
    target: &Target,
) -> Result<wire::GetCognitoEventsOutput, ApiError> {
    let key = stored::events_key(target.pool()?.1.uuid);
    let found = site.load::<EventsRecord>(key).await?;
    let pair = found.map(|(record, _)| (SYNC_TRIGGER.to_owned(), record.sync_trigger));
    Ok(wire::GetCognitoEventsOutput {
        events: Pairs(pair.into_iter().collect()),
    })
}

/// Sets the function of the event that comes, or removes it if it is empty.
pub(super) async fn set(
    site: &Site,
    target: &Target,
    body: &[u8],
) -> Result<EmptyOutput, ApiError> {
    let input: wire::SetCognitoEventsInput = json::read(body)?;
    check(&input)?;
    let (pool, id) = target.pool()?;
    let Some((_, function)) = input.events.unwrap_or_default().0.into_iter().next() else {
        return Ok(EmptyOutput {});
    };
    let (key, expected) = (stored::events_key(id.uuid), Expected::Anything);
    let wish = if function.is_empty() {
        Wish::DeleteMetadata { key, expected }
    } else {
        let record = EventsRecord {
            sync_trigger: function,
        };
        let value = stored::encode(&record)
            .ok_or_else(|| ApiError::bug("a record that was checked is too large"))?;
        Wish::PutMetadata {
            key,
            value,
            expected,
        }
    };
    let proposal = Proposal {
        expect: vec![(stored::pool_key(id), Expected::Something)],
        wishes: vec![wish],
        ..Proposal::default()
    };
    match site.store.commit(proposal).await {
        Ok(_) => Ok(EmptyOutput {}),
        Err(Error::Refusal(Refusal::Unexpected { .. })) => Err(no_pool(pool.as_str())),
        Err(error) => Err(error.into()),
    }
}

fn check(input: &wire::SetCognitoEventsInput) -> Result<(), ApiError> {
    let mut violations = Violations::new();
    violations.required("events", input.events.as_ref());
    let events = input.events.as_ref().map_or(&[][..], |pairs| &pairs.0);
    if events.len() > 1 {
        let rule = "Member must have length less than or equal to 1";
        violations.add("events", Some("{...}"), rule);
    }
    for (event, function) in events {
        violations.one_of("events", event, &[SYNC_TRIGGER]);
        if !function.is_empty() {
            let at = format!("events.{SYNC_TRIGGER}");
            violations.text(&at, function, FUNCTION_CHARS_MAX, &arn::FUNCTION);
        }
    }
    violations.finish()
}
