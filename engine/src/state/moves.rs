//! Moves: what lives gets another place, and nothing else about it changes.

use super::{Place, State};
use crate::types::{DatasetId, Extent, Location, MetadataKey, Sequence};

/// What was written to another place, and where it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) target: Target,
    pub(crate) from: Location,
    pub(crate) to: Extent,
}

/// What moves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Dataset(DatasetId),
    Metadata(MetadataKey),
}

impl State {
    /// Where the newest bytes of something lie.
    pub(crate) fn place_of(&self, target: &Target) -> Option<Location> {
        match target {
            Target::Dataset(dataset) => self.known(dataset)?.head,
            Target::Metadata(key) => self.metadata.get(key).map(Place::location),
        }
    }

    /// Takes a move over, unless what moved was changed meanwhile: then it is worth nothing, and
    /// the answer is false. A dataset's new place holds it whole.
    pub(crate) fn install(&mut self, moved: &Move) -> bool {
        if self.place_of(&moved.target) != Some(moved.from) {
            return false;
        }
        let old = match &moved.target {
            Target::Dataset(id) => {
                let pool = self.pools.get_mut(&id.pool).expect("it was just found");
                let identity = pool.identities.get_mut(&id.identity).expect("so was this");
                let at = identity.find(&id.name).expect("and this");
                let mut known = identity.datasets[at].known();
                let old = known.image;
                known.head = Some(moved.to.location);
                known.image = Some(moved.to);
                identity.datasets[at].set(&known);
                old
            }
            Target::Metadata(key) => {
                let place = self.metadata.get_mut(key).expect("it was just found");
                let old = place.extent();
                *place = Place::new(place.version, moved.to);
                Some(old)
            }
        };
        old.into_iter().for_each(|old| self.release(old));
        self.retain(moved.to);
        true
    }

    /// The version of a metadata value.
    pub(crate) fn version(&self, key: &MetadataKey) -> Option<Sequence> {
        self.metadata.get(key).map(|place| place.version)
    }
}
