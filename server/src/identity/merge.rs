//! Merging two identities: one becomes the owner of all logins and datasets, the other ends.
//!
//! All of it is one proposal, so that after a crash either both are as they were or only one is
//! left. The loser's credentials end with its key.

use std::sync::Arc;

use syncline_engine::{Error, Expected, IdentityId, PoolId, Proposal, Refusal, Wish};

use super::birth::put;
use super::owner::{self, Ground, Owner};
use super::removal;
use crate::error::ApiError;
use crate::guests::Guests;
use crate::site::stored::{self, FormerRecord, Id, LoginRecord};
use crate::site::{Site, Store, merged};

/// How often the loser's datasets are listed anew when one of them changed before the merge.
const TRIES: usize = 16;

/// Gives everything of the loser to the winner. The inner error is the store's; a stale one means
/// that winner or loser changed since they were read.
///
/// # Errors
/// `ResourceConflictException` or `LimitExceededException` if one identity may not have the logins
/// of both.
pub(super) async fn merge(
    site: &Site,
    ground: Ground<'_>,
    winner: Owner,
    loser: Owner,
) -> Result<Result<(), Error>, ApiError> {
    let mut record = winner.record.clone();
    record.logins.extend(loser.record.logins.iter().cloned());
    record.orphaned &= record.logins.is_empty();
    record.modified_ms = site.now().get();
    owner::check(&record.logins, ground)?;
    let moves = Moves {
        store: site.store.clone(),
        guests: Arc::clone(&site.guests),
        pool: ground.pool.clone(),
        fixed: fixed(ground.pool, &winner, &loser, &record),
        winner: winner.identity,
        loser: loser.identity,
    };
    // The task goes on when the caller hangs up, so that the door stays closed until the answer is
    // known and what ended is no longer counted.
    match tokio::spawn(moves.run()).await {
        Ok(answer) => Ok(answer),
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// What does not depend on the datasets: logins, records, and what is left of the loser.
fn fixed(pool: &Id, winner: &Owner, loser: &Owner, record: &stored::IdentityRecord) -> Vec<Wish> {
    let login_record = LoginRecord {
        identity: *winner.identity.uuid.as_bytes(),
    };
    let former = FormerRecord {
        created_ms: loser.record.created_ms,
        merged_ms: record.modified_ms,
        into: login_record.identity,
    };
    let winner_key = stored::identity_key(pool.uuid, winner.identity.uuid);
    let mut wishes = vec![
        put(winner_key, record, Expected::Version(winner.version)),
        put(
            stored::former_key(pool.uuid, loser.identity.uuid),
            &former,
            Expected::Nothing,
        ),
        Wish::DeleteMetadata {
            key: stored::identity_key(pool.uuid, loser.identity.uuid),
            expected: Expected::Version(loser.version),
        },
    ];
    wishes.extend(loser.record.logins.iter().map(|login| {
        let key = stored::login_key(pool.uuid, login);
        put(key, &login_record, Expected::Something)
    }));
    wishes
}

struct Moves {
    store: Store,
    guests: Arc<Guests>,
    pool: Id,
    winner: Id,
    loser: Id,
    fixed: Vec<Wish>,
}

impl Moves {
    async fn run(self) -> Result<(), Error> {
        let loser = IdentityId::parse(&self.loser.to_string())?;
        let _closed = self.store.doors().close(&loser).await;
        let mut tries = 0;
        loop {
            let proposal = self.proposal(loser).await?;
            tries += 1;
            match self.store.commit(proposal).await {
                Ok(_) => break,
                // A dataset was deleted, or its new name taken, since they were listed.
                Err(Error::Refusal(Refusal::NoSuch(_) | Refusal::Invalid(_))) if tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
        self.guests.gone(self.pool.uuid);
        removal::sweep(&self.store, self.pool.uuid, self.loser.uuid).await;
        Ok(())
    }

    async fn proposal(&self, loser: IdentityId) -> Result<Proposal, Error> {
        let (pool, from, to) = (self.pool.clone(), self.loser.clone(), self.winner.clone());
        let read = self
            .store
            .read(move |reader| merged::wishes(reader, &pool, &to, &from));
        let mut wishes = read.await?;
        wishes.extend(self.fixed.iter().cloned());
        let reader = self.store.engine().resident_reader();
        let (pool, from) = (self.pool.uuid, self.loser.uuid);
        // The home stays, so that whoever still names the loser is led to the winner; the
        // identity's own key is deleted at its version.
        let stays = [stored::home_key(from), stored::identity_key(pool, from)];
        let keys = stored::keys_of_identity(&reader, pool, from);
        let gone = keys.into_iter().filter(|key| !stays.contains(key));
        wishes.extend(gone.map(|key| Wish::DeleteMetadata {
            key,
            expected: Expected::Anything,
        }));
        wishes.push(Wish::DeleteIdentity {
            pool: PoolId::parse(&self.pool.to_string())?,
            identity: loser,
        });
        Ok(Proposal {
            expect: vec![(stored::pool_key(&self.pool), Expected::Something)],
            wishes,
            ..Proposal::default()
        })
    }
}
