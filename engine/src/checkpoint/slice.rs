//! A slice of a checkpoint: a run of the directory as it was after one commit.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::familiar::Familiar;
use crate::codec::{Decoder, Encode, Malformed};
use crate::commit::names::{
    decode_identity_of, decode_pool, encode_identity_of, encode_pool, encode_short, metadata_key,
};
use crate::commit::{decode_location, encode_location};
use crate::segment;
use crate::state::{At, Dataset, Datasets, Identities, Identity, Known, Place, Pool, State};
use crate::types::{
    DatasetName, Extent, IdentityId, MetadataKey, PoolId, Sequence, SyncCount, Timestamp,
};

const POOL: u8 = 1;
const IDENTITY: u8 = 2;
const METADATA: u8 = 3;
const IDENTITIES_END: u8 = 4;
const END: u8 = 5;

/// A dataset that exists, whose newest frame is its image.
const WHOLE: u8 = 2;
/// A dataset that exists, with an image behind its newest frame.
const CHAINED: u8 = 1;
const DELETED: u8 = 0;

/// Bytes after which a slice ends: what is encoded while commits wait.
const SLICE_BYTES: usize = 64 << 10;

/// A slice on its way to the disk.
#[derive(Default)]
pub(super) struct Slice {
    pub(super) bytes: Vec<u8>,
    /// Bytes that it, and those before it, name in each cold segment.
    pub(super) live: BTreeMap<u32, u64>,
}

/// Writes the next slice behind a place, or the first one, and says up to where it reaches.
pub(super) fn encode(state: &State, after: Option<&At>, out: &mut Slice) -> At {
    out.bytes.clear();
    out.bytes.put_u64(state.sequence.get());
    let mut at = match after {
        Some(after) => after.clone(),
        None => first(state, out),
    };
    while out.bytes.len() < SLICE_BYTES && at != At::End {
        at = match &at {
            At::Identities(..) => next_identities(state, &at, out),
            At::IdentitiesEnd => next_metadata(state, None, out),
            At::Metadata(key) => next_metadata(state, Some(key), out),
            At::End => At::End,
        };
    }
    at
}

fn first(state: &State, out: &mut Slice) -> At {
    match state.pools.first_key_value() {
        Some((id, pool)) => put_pool(*id, pool, out),
        None => put_identities_end(out),
    }
}

fn next_identities(state: &State, at: &At, out: &mut Slice) -> At {
    let At::Identities(pool_id, after) = at else {
        return put_identities_end(out);
    };
    if let Some(pool) = state.pools.get(pool_id) {
        // Every slice names the pool of its first identity.
        if out.bytes.len() == size_of::<u64>() {
            put_pool(*pool_id, pool, out);
        }
        let mut last = None;
        for (id, identity) in pool.identities.behind(after.as_ref()) {
            put_identity(pool_id, *id, identity, out);
            last = Some(*id);
            if out.bytes.len() >= SLICE_BYTES {
                break;
            }
        }
        if last.is_some() {
            return At::Identities(*pool_id, last);
        }
    }
    let behind = (Bound::Excluded(pool_id), Bound::Unbounded);
    match state.pools.range::<PoolId, _>(behind).next() {
        Some((id, pool)) => put_pool(*id, pool, out),
        None => put_identities_end(out),
    }
}

fn put_identities_end(out: &mut Slice) -> At {
    out.bytes.put_u8(IDENTITIES_END);
    At::IdentitiesEnd
}

fn put_pool(id: PoolId, pool: &Pool, out: &mut Slice) -> At {
    out.bytes.put_u8(POOL);
    encode_pool(&mut out.bytes, &id);
    out.bytes.put_u48(pool.modified.get());
    At::Identities(id, None)
}

fn put_identity(pool: &PoolId, id: IdentityId, identity: &Identity, out: &mut Slice) {
    out.bytes.put_u8(IDENTITY);
    encode_identity_of(&mut out.bytes, &id, pool);
    out.bytes.put_u48(identity.modified.get());
    out.bytes.put_u48(identity.floor.get());
    out.bytes
        .put_u16(u16::try_from(identity.datasets.len()).expect("bounded by its limit"));
    for dataset in &identity.datasets {
        encode_short(&mut out.bytes, dataset.name.as_str().as_bytes());
        let known = dataset.known();
        out.bytes.put_u48(known.sync_count.get());
        out.bytes.put_u48(known.floor.get());
        let (Some(head), Some(image)) = (known.head, known.image) else {
            out.bytes.put_u8(DELETED);
            continue;
        };
        out.bytes.put_u8(if head == image.location {
            WHOLE
        } else {
            CHAINED
        });
        out.bytes.put_u32(known.bytes);
        out.bytes
            .put_u16(u16::try_from(known.live).expect("bounded by its limit"));
        put_extent(out, image);
        if head != image.location {
            encode_location(&mut out.bytes, head);
        }
    }
}

fn put_extent(out: &mut Slice, extent: Extent) {
    encode_location(&mut out.bytes, extent.location);
    out.bytes.put_u32(extent.bytes);
    if segment::is_cold(extent.location.segment) {
        *out.live.entry(extent.location.segment).or_default() += u64::from(extent.bytes);
    }
}

fn next_metadata(state: &State, after: Option<&MetadataKey>, out: &mut Slice) -> At {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = state
        .metadata
        .range::<MetadataKey, _>((from, Bound::Unbounded));
    let Some((key, place)) = rest.next() else {
        out.bytes.put_u8(END);
        return At::End;
    };
    out.bytes.put_u8(METADATA);
    out.bytes
        .put_u16(u16::try_from(key.as_bytes().len()).expect("at most 256"));
    out.bytes.put_bytes(key.as_bytes());
    out.bytes.put_u64(place.version.get());
    put_extent(out, place.extent());
    At::Metadata(key.clone())
}

/// Takes slices in order and makes a state of them.
pub(super) struct Loading {
    pub(super) state: State,
    pool: Option<(PoolId, Pool)>,
    /// Identities of the pool, in order.
    identities: Vec<(IdentityId, Identity)>,
    metadata: Vec<(MetadataKey, Place)>,
    names: Familiar,
    at: Option<At>,
}

impl Loading {
    pub(super) fn new() -> Self {
        Self {
            state: State::default(),
            pool: None,
            identities: Vec::new(),
            metadata: Vec::new(),
            names: Familiar::new(),
            at: None,
        }
    }

    /// Takes a slice; says up to where it reaches and after which commit it was taken.
    pub(super) fn slice(&mut self, bytes: &[u8]) -> Result<(At, Sequence), Malformed> {
        let mut input = Decoder::new(bytes);
        let sequence = Sequence::new(input.u64()?);
        while input.remaining() > 0 {
            let place = self.one(&mut input)?;
            // The pool of a slice's first identity is named again.
            let again = match (&self.at, &place) {
                (Some(At::Identities(at, _)), At::Identities(pool, None)) => at == pool,
                _ => false,
            };
            if again {
                continue;
            }
            if self.at.as_ref().is_some_and(|at| *at >= place) {
                return Err(Malformed("the directory is not in order"));
            }
            self.at = Some(place);
        }
        let at = self.at.clone().ok_or(Malformed("a slice is empty"))?;
        Ok((at, sequence))
    }

    /// The state, if its end was reached.
    pub(super) fn finish(mut self) -> Result<State, Malformed> {
        if self.at != Some(At::End) {
            return Err(Malformed("the directory ends too early"));
        }
        self.state.metadata = self.metadata.into_iter().collect();
        Ok(self.state)
    }

    fn one(&mut self, input: &mut Decoder<'_>) -> Result<At, Malformed> {
        match input.u8()? {
            POOL => {
                let id = decode_pool(input)?;
                let modified = Timestamp::believed(input.u48()?);
                if self.pool.as_ref().is_none_or(|(known, _)| *known != id) {
                    self.end_pool();
                    self.pool = Some((id, Pool::default()));
                }
                if let Some((_, pool)) = &mut self.pool {
                    pool.modified = pool.modified.max(modified);
                }
                Ok(At::Identities(id, None))
            }
            IDENTITY => self.identity(input),
            IDENTITIES_END => {
                self.end_pool();
                Ok(At::IdentitiesEnd)
            }
            METADATA => {
                let length = usize::from(input.u16()?);
                let key = metadata_key(input.bytes(length)?)?;
                let version = Sequence::new(input.u64()?);
                let extent = extent(input)?;
                self.state.retain(extent);
                let place = Place::new(version, extent);
                self.metadata.push((key.clone(), place));
                Ok(At::Metadata(key))
            }
            END => Ok(At::End),
            _ => Err(Malformed("the directory has something unknown in it")),
        }
    }

    fn end_pool(&mut self) {
        if let Some((id, mut pool)) = self.pool.take() {
            pool.identities = Identities::of_sorted(std::mem::take(&mut self.identities));
            self.state.pools.insert(id, pool);
        }
    }

    fn identity(&mut self, input: &mut Decoder<'_>) -> Result<At, Malformed> {
        let (pool_id, pool) = self
            .pool
            .as_mut()
            .ok_or(Malformed("an identity has no pool"))?;
        let id = decode_identity_of(input, pool_id)?;
        let modified = Timestamp::believed(input.u48()?);
        let floor = SyncCount::believed(input.u48()?);
        let count = usize::from(input.u16()?);
        let mut identity = Identity {
            modified,
            floor,
            bytes: 0,
            datasets: Datasets::with_capacity(count),
        };
        for _ in 0..count {
            let name = self.names.decode(input)?;
            let dataset = dataset(name, input)?;
            let known = dataset.known();
            if identity
                .datasets
                .last()
                .is_some_and(|last| last.name >= dataset.name)
            {
                return Err(Malformed("datasets are not in order"));
            }
            identity.bytes += u64::from(known.bytes);
            pool.bytes += u64::from(known.bytes);
            pool.datasets += u64::from(known.head.is_some());
            known
                .image
                .into_iter()
                .for_each(|image| self.state.retain(image));
            identity.datasets.push(dataset);
        }
        let place = At::Identities(*pool_id, Some(id));
        self.identities.push((id, identity));
        Ok(place)
    }
}

fn dataset(name: DatasetName, input: &mut Decoder<'_>) -> Result<Dataset, Malformed> {
    let sync_count = SyncCount::believed(input.u48()?);
    let floor = SyncCount::believed(input.u48()?);
    let mut known = Known {
        sync_count,
        floor,
        ..Known::default()
    };
    let form = input.u8()?;
    if form != DELETED {
        known.bytes = input.u32()?;
        known.live = u32::from(input.u16()?);
        let image = extent(input)?;
        known.image = Some(image);
        known.head = match form {
            WHOLE => Some(image.location),
            CHAINED => Some(decode_location(input)?),
            _ => return Err(Malformed("a dataset has an unknown form")),
        };
    }
    Ok(Dataset::new(name, &known))
}

fn extent(input: &mut Decoder<'_>) -> Result<Extent, Malformed> {
    let (location, bytes) = (decode_location(input)?, input.u32()?);
    if location.segment == 0 {
        return Err(Malformed("a place is in no segment"));
    }
    Ok(Extent { location, bytes })
}
