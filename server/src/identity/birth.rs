//! How identities come to be: counted, and written all at once or not at all.

use syncline_engine::{Error, Expected, Proposal, Wish};

use crate::error::ApiError;
use crate::guests::{Place, Refused};
use crate::site::stored::{self, HomeRecord, Id, IdentityRecord, Login, LoginRecord};
use crate::site::{Site, Store};

/// Makes an identity in a pool: a guest, or the owner of logins.
///
/// # Errors
/// `Refusal::Unexpected` if the pool went away or a login came to be meanwhile.
pub(super) async fn bear(
    store: &Store,
    place: Place,
    pool: &Id,
    logins: Vec<Login>,
    now_ms: u64,
) -> Result<Id, Error> {
    let identity = Id::new(&pool.region);
    let proposal = proposal(pool, &identity, logins, now_ms);
    let store = store.clone();
    // The task goes on when the caller hangs up, so that what was made stays counted.
    let task = tokio::spawn(async move {
        store.commit(proposal).await?;
        place.keep();
        Ok(identity)
    });
    match task.await {
        Ok(answer) => answer,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

fn proposal(pool: &Id, identity: &Id, logins: Vec<Login>, now_ms: u64) -> Proposal {
    let home = HomeRecord {
        pool: *pool.uuid.as_bytes(),
        region: pool.region.clone(),
    };
    let mut wishes = vec![put(
        stored::home_key(identity.uuid),
        &home,
        Expected::Nothing,
    )];
    for login in &logins {
        let record = LoginRecord {
            identity: *identity.uuid.as_bytes(),
        };
        wishes.push(put(
            stored::login_key(pool.uuid, login),
            &record,
            Expected::Nothing,
        ));
    }
    let record = IdentityRecord {
        created_ms: now_ms,
        modified_ms: now_ms,
        logins,
        orphaned: false,
    };
    let key = stored::identity_key(pool.uuid, identity.uuid);
    wishes.push(put(key, &record, Expected::Nothing));
    Proposal {
        expect: vec![(stored::pool_key(pool), Expected::Something)],
        wishes,
        ..Proposal::default()
    }
}

/// A wish to store a record whose size is bounded by what was checked before.
pub(super) fn put<T: bincode::Encode>(
    key: syncline_engine::MetadataKey,
    record: &T,
    expected: Expected,
) -> Wish {
    // 20 logins of 1,152 characters are 92 KiB in the longest UTF-8; `LOGIN_BYTES_MAX` is less.
    let value = stored::encode(record).expect("records other than pools are bounded");
    Wish::PutMetadata {
        key,
        value,
        expected,
    }
}

/// Reserves a place for an identity.
///
/// # Errors
/// `LimitExceededException` if the pool is full.
pub(super) fn reserve(site: &Site, pool: &Id) -> Result<Place, ApiError> {
    site.guests.reserve(pool.uuid).map_err(refused)
}

/// Takes one guest from the bucket of a pool.
///
/// # Errors
/// `TooManyRequestsException` if the bucket is empty.
pub(super) fn admit_guest(site: &Site, pool: &Id) -> Result<(), ApiError> {
    site.guests
        .admit(pool.uuid, site.now().get())
        .map_err(refused)
}

fn refused(refused: Refused) -> ApiError {
    match refused {
        Refused::TooFast => ApiError::too_many_requests("Rate exceeded"),
        Refused::Full { max } => ApiError::limit_exceeded(format!(
            "the number of identities of the pool would pass the limit of {max}"
        )),
    }
}
