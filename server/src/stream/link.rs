//! Links to the records of an event whose envelope cannot carry them: sealed, so that whoever has
//! one needs no signature, and good for a day, like the presigned links that the service gives. As
//! long as one is good the log is held behind what it leads to, within bounds.

use syncline_engine::Sequence;
use uuid::Uuid;

use super::{EventId, events};
use crate::error::ApiError;
use crate::seal::Purpose;
use crate::site::Site;

/// How long a link is good.
/// When the sealing keys are changed, older links end with the keys.
pub const LINK_LIFE_MS: u64 = 24 * 3600 * 1000;

/// Where links lead, beneath the address of the server.
pub const LINK_PATH: &str = "/syncline/v1/streams/records";
/// The name of the sealed part in the query.
const TOKEN: &str = "token";
/// Store, sequence, index and end of life.
const BODY_BYTES: usize = 16 + 8 + 4 + 8;

/// The link to the records of an event, good from now on; [`Site::keep_links`] before it leaves
/// the server.
#[must_use]
pub fn link(site: &Site, id: &EventId) -> String {
    let until_ms = site.now().get() + LINK_LIFE_MS;
    let engine = site.store.engine();
    if id.store == engine.head().store {
        let links = site.outflow.holds.links();
        links.give(engine, id.sequence, until_ms);
    }
    let mut body = Vec::with_capacity(BODY_BYTES);
    body.extend_from_slice(id.store.as_bytes());
    body.extend_from_slice(&id.sequence.get().to_le_bytes());
    body.extend_from_slice(&id.index.to_le_bytes());
    body.extend_from_slice(&until_ms.to_le_bytes());
    let token = site.keys.seal(Purpose::StreamLink, &[], &body);
    format!("{}{LINK_PATH}?{TOKEN}={token}", site.config.public_url())
}

/// What a link leads to, given its query: the bare JSON array of the records.
///
/// # Errors
/// `NotAuthorizedException` for what is no link of this server, `ExpiredTokenException` for one
/// whose time is over, `ResourceNotFoundException` if the feed no longer holds the event, or
/// its pool or identity was deleted.
pub async fn records(site: &Site, query: &str) -> Result<Vec<u8>, ApiError> {
    let id = open(site, query)?;
    let gone = || {
        ApiError::not_found(
            "The stream no longer holds what this link leads to: its log grew beyond pin_bytes, \
             or what it told of was deleted. BulkPublish tells of all datasets anew.",
        )
    };
    // Sequences of another store are those of other commits.
    if id.store != site.store.engine().head().store {
        return Err(gone());
    }
    let commit = site.store.commit_at(id.sequence).await?.ok_or_else(gone)?;
    let event = events(commit).into_iter().find(|event| event.id == id);
    let event = event.ok_or_else(gone)?;
    // What was deleted is gone at once, though the feed still holds it.
    let (pool, identity) = (&event.dataset.pool, &event.dataset.identity);
    if !site.has_pool(pool.as_str()) || !site.has_identity(pool.as_str(), identity.as_str()) {
        return Err(gone());
    }
    Ok(event.records_json())
}

fn open(site: &Site, query: &str) -> Result<EventId, ApiError> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let token = pairs
        .find(|(name, _)| *name == TOKEN)
        .map(|(_, token)| token);
    let opened = token.and_then(|token| site.keys.open(Purpose::StreamLink, &[], token));
    let Some((id, until_ms)) = opened.and_then(|opened| parse(&opened.body)) else {
        return Err(ApiError::not_authorized(
            "This is not a link that this server gave out; take it from an event as it is.",
        ));
    };
    if site.now().get() >= until_ms {
        return Err(ApiError::expired_token(
            "This link is older than a day; reading the stream again, or BulkPublish, gives a \
             new one.",
        ));
    }
    Ok(id)
}

fn parse(body: &[u8]) -> Option<(EventId, u64)> {
    let (store, rest) = body.split_at_checked(16)?;
    let (sequence, rest) = rest.split_at_checked(8)?;
    let (index, until_ms) = rest.split_at_checked(4)?;
    let id = EventId {
        store: Uuid::from_slice(store).ok()?,
        sequence: Sequence::new(u64::from_le_bytes(sequence.try_into().ok()?)),
        index: u32::from_le_bytes(index.try_into().ok()?),
    };
    Some((id, u64::from_le_bytes(until_ms.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;
    use crate::error::ErrorKind;
    use crate::fixture::{Fixture, replace};

    fn id(site: &Site) -> EventId {
        let head = site.store.engine().head();
        EventId {
            store: head.store,
            sequence: head.sequence,
            index: 0,
        }
    }

    fn query(link: &str) -> &str {
        let (place, query) = link.split_once('?').unwrap();
        assert_eq!(place, "http://127.0.0.1:7070/syncline/v1/streams/records");
        query
    }

    async fn kind(site: &Site, query: &str) -> ErrorKind {
        records(site, query).await.unwrap_err().kind
    }

    #[tokio::test]
    async fn a_link_leads_to_the_records_until_its_time_is_over() {
        let fixture = Fixture::new();
        let pool = fixture.pool().await;
        let user = fixture.guest(&pool).await;
        let before = link(&fixture.site, &id(&fixture.site));
        user.update("saves", json!([replace("slot", "\u{e4}", 0)]))
            .await
            .unwrap();
        let site = &fixture.site;
        let good = link(site, &id(site));
        let found = records(site, query(&good)).await.unwrap();
        let found: Value = serde_json::from_slice(&found).unwrap();
        assert_eq!(found[0]["key"], "slot");
        assert_eq!(found[0]["value"], "\u{e4}");
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{}", json!(found));
        assert_eq!(
            kind(site, query(&before)).await,
            ErrorKind::ResourceNotFound
        );
        let foreign = EventId {
            store: Uuid::nil(),
            ..id(site)
        };
        let foreign = link(site, &foreign);
        assert_eq!(
            kind(site, query(&foreign)).await,
            ErrorKind::ResourceNotFound
        );
        let mut forged = query(&good).to_owned();
        forged.replace_range(20..21, if &forged[20..21] == "A" { "B" } else { "A" });
        for bad in ["", "token=", "token", "other=1", &forged] {
            assert_eq!(kind(site, bad).await, ErrorKind::NotAuthorized, "{bad}");
        }
        let other = fixture.guest(&pool).await;
        other
            .update("saves", json!([replace("slot", "b", 0)]))
            .await
            .unwrap();
        let of_other = link(site, &id(site));
        assert!(records(site, query(&of_other)).await.is_ok());
        let gone = json!({ "IdentityIdsToDelete": [other.identity] });
        fixture.identity("DeleteIdentities", gone).await.unwrap();
        assert_eq!(
            kind(site, query(&of_other)).await,
            ErrorKind::ResourceNotFound
        );
        fixture.pass_ms(LINK_LIFE_MS - 1);
        assert!(records(site, query(&good)).await.is_ok());
        fixture.pass_ms(1);
        assert_eq!(kind(site, query(&good)).await, ErrorKind::ExpiredToken);
    }

    /// Makes the log longer than it may be without somebody who holds it, and releases what can be.
    async fn outgrow(fixture: &Fixture, pool: &str) {
        let user = fixture.guest(pool).await;
        for round in 0..4 {
            let value = "v".repeat(900_000);
            let patches = json!([replace("k", &value, round)]);
            user.update("other", patches).await.unwrap();
        }
        fixture.site.store.engine().maintain().unwrap();
    }

    fn small(pin_bytes: u64) -> Fixture {
        let mut config = Config::default();
        config.engine.feed_retention_bytes = 1;
        config.engine.pin_bytes = pin_bytes;
        Fixture::with(config, 1 << 20)
    }

    #[tokio::test]
    async fn the_log_is_held_for_links_as_long_as_they_are_good() {
        let fixture = small(1 << 30);
        let pool = fixture.pool().await;
        let user = fixture.guest(&pool).await;
        let patches = json!([replace("slot", "value", 0)]);
        user.update("saves", patches).await.unwrap();
        let to = id(&fixture.site);
        let given = link(&fixture.site, &to);
        fixture.site.keep_links().await;
        outgrow(&fixture, &pool).await;
        let found = records(&fixture.site, query(&given)).await;
        assert!(found.is_ok(), "{found:?}");
        drop(user);
        let fixture = fixture.restart().await;
        outgrow(&fixture, &pool).await;
        let found = records(&fixture.site, query(&given)).await;
        assert!(found.is_ok(), "after a restart: {found:?}");
        // To the end of the hour in which the last of them ends.
        fixture.pass_ms(LINK_LIFE_MS + 3_600_000);
        let kind = kind(&fixture.site, query(&given)).await;
        assert_eq!(kind, ErrorKind::ExpiredToken);
        fixture.site.pass();
        outgrow(&fixture, &pool).await;
        let tail = fixture.site.store.engine().tail();
        assert!(tail.sequence >= to.sequence, "{tail:?}");
    }

    #[tokio::test]
    async fn beyond_what_may_be_held_a_link_says_so() {
        let fixture = small(1);
        let pool = fixture.pool().await;
        let given = {
            let user = fixture.guest(&pool).await;
            let patches = json!([replace("slot", "value", 0)]);
            user.update("saves", patches).await.unwrap();
            link(&fixture.site, &id(&fixture.site))
        };
        outgrow(&fixture, &pool).await;
        let gone = records(&fixture.site, query(&given)).await.unwrap_err();
        assert_eq!(gone.kind, ErrorKind::ResourceNotFound);
        assert!(gone.message.contains("pin_bytes"), "{}", gone.message);
        assert!(gone.message.contains("BulkPublish"), "{}", gone.message);
    }
}
