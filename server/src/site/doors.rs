//! Doors before the datasets of identities: whoever writes one passes, and a merge closes.
//!
//! A merge copies every dataset that the loser has. One that came to be after they were listed and
//! before the merge was committed would be lost with the loser, so for that moment none may.

use std::hash::{DefaultHasher, Hash, Hasher};

use syncline_engine::{IdentityId, Proposal, Wish};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Doors; many identities share one. A merge is rare and short.
const DOORS: usize = 64;
/// Who may be in one door at once: more than there are connections.
const PASSES: u32 = 1 << 24;

/// All doors of a store.
#[derive(Debug)]
pub struct Doors {
    doors: Vec<Semaphore>,
}

impl Default for Doors {
    fn default() -> Self {
        let open = || Semaphore::new(PASSES as usize);
        Self {
            doors: (0..DOORS).map(|_| open()).collect(),
        }
    }
}

impl Doors {
    /// Passes the door of the identity for which a proposal writes a dataset, if it does. To be
    /// held until the proposal is answered.
    pub async fn pass(&self, proposal: &Proposal) -> Option<SemaphorePermit<'_>> {
        let identity = proposal.wishes.iter().find_map(|wish| match wish {
            Wish::Update { dataset, .. } => Some(&dataset.identity),
            _ => None,
        })?;
        Some(self.acquire(identity, 1).await)
    }

    /// Waits until nobody is in the door of an identity, and lets nobody pass while the answer
    /// lives.
    pub async fn close(&self, identity: &IdentityId) -> SemaphorePermit<'_> {
        self.acquire(identity, PASSES).await
    }

    async fn acquire(&self, identity: &IdentityId, passes: u32) -> SemaphorePermit<'_> {
        let mut hasher = DefaultHasher::new();
        identity.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % DOORS as u64).expect("less than 64");
        self.doors[place]
            .acquire_many(passes)
            .await
            .expect("the semaphore is never closed")
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context as PollArguments, Waker};

    use syncline_engine::{DatasetId, DatasetName, ModifiedBy, PoolId};

    use super::*;

    #[tokio::test]
    async fn a_closed_door_lets_nobody_pass_and_waits_for_those_inside() {
        let doors = Doors::default();
        let identity = IdentityId::parse("r:2").unwrap();
        let proposal = Proposal::from(Wish::Update {
            dataset: DatasetId {
                pool: PoolId::parse("r:1").unwrap(),
                identity,
                name: DatasetName::parse("d").unwrap(),
            },
            patches: Vec::new(),
            modified_by: ModifiedBy::Owner,
        });
        let mut now = PollArguments::from_waker(Waker::noop());
        let inside = (
            doors.pass(&proposal).await.unwrap(),
            doors.pass(&proposal).await.unwrap(),
        );
        let mut closing = pin!(doors.close(&identity));
        assert!(closing.as_mut().poll(&mut now).is_pending());
        let mut late = pin!(doors.pass(&proposal));
        assert!(late.as_mut().poll(&mut now).is_pending());
        drop(inside);
        let closed = closing.await;
        assert!(late.as_mut().poll(&mut now).is_pending());
        drop(closed);
        assert!(late.await.is_some());
    }
}
