//! Batches in parts in which no identity comes twice: for sinks that may take some events and not
//! others, which must not turn the order of an identity around.

use std::collections::HashSet;

use super::Parcel;

/// How much one part may have; a single event always has room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Events.
    pub(super) events: usize,
    /// Bytes of envelopes and partition keys.
    pub(super) bytes: usize,
}

/// What may be put now, and what must wait until all of it is taken: the first event of each
/// identity, and the others.
pub(super) fn next(left: Vec<&Parcel>, bounds: Bounds) -> (Vec<&Parcel>, Vec<&Parcel>) {
    let (mut now, mut later) = (Vec::new(), Vec::new());
    let (mut bytes, mut identities) = (0, HashSet::new());
    for parcel in left {
        // One that has to wait makes those of its identity wait, too.
        let is_first = identities.insert(parcel.partition_key.as_str());
        let size = parcel.envelope.len() + parcel.partition_key.len();
        let has_room = now.is_empty() || now.len() < bounds.events && bytes + size <= bounds.bytes;
        if is_first && has_room {
            bytes += size;
            now.push(parcel);
        } else {
            later.push(parcel);
        }
    }
    (now, later)
}

#[cfg(test)]
mod tests {
    use syncline_engine::Sequence;
    use uuid::Uuid;

    use super::*;
    use crate::stream::EventId;

    fn parcel(sequence: u64, identity: &str, bytes: usize) -> Parcel {
        Parcel {
            id: EventId {
                store: Uuid::nil(),
                sequence: Sequence::new(sequence),
                index: 0,
            },
            partition_key: identity.to_owned(),
            envelope: vec![b'x'; bytes],
        }
    }

    const BOUNDS: Bounds = Bounds {
        events: 500,
        bytes: 4 << 20,
    };

    fn numbers(parcels: &[&Parcel]) -> Vec<u64> {
        parcels
            .iter()
            .map(|parcel| parcel.id.sequence.get())
            .collect()
    }

    #[test]
    fn a_wave_has_one_event_of_an_identity_and_keeps_within_its_bounds() {
        let small = [
            parcel(1, "a", 10),
            parcel(2, "b", 10),
            parcel(3, "a", 10),
            parcel(4, "c", 10),
        ];
        let (request, later) = next(small.iter().collect(), BOUNDS);
        assert_eq!(
            (numbers(&request), numbers(&later)),
            (vec![1, 2, 4], vec![3])
        );
        // What is too large for this wave holds back what is behind it of its identity.
        let large = [
            parcel(1, "a", 3 << 20),
            parcel(2, "b", 3 << 20),
            parcel(3, "b", 10),
            parcel(4, "c", 10),
        ];
        let (request, later) = next(large.iter().collect(), BOUNDS);
        assert_eq!(
            (numbers(&request), numbers(&later)),
            (vec![1, 4], vec![2, 3])
        );
        let many: Vec<Parcel> = (0..600).map(|n| parcel(n, &format!("i{n}"), 1)).collect();
        let (request, later) = next(many.iter().collect(), BOUNDS);
        assert_eq!((request.len(), later.len()), (500, 100));
    }
}
