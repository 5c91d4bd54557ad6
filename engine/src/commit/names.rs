//! Ids, names and keys as changes spell them: a pool and an identity are mostly a region and two
//! uuids, which take a third of their text.

use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::codec::{Decoder, Encode, Malformed};
use crate::types::{
    DatasetId, DatasetName, IdentityId, Invalid, MetadataKey, ModifiedBy, PoolId, SyncCount,
};

/// An id as it is.
const ID_PLAIN: u8 = 0;
/// A region and a uuid.
const ID_UUID: u8 = 1;
/// A uuid; the region is that of the pool.
const ID_UUID_SAME_REGION: u8 = 2;

pub(crate) fn encode_short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u8(u8::try_from(bytes.len()).expect("names have at most 128 bytes"));
    out.put_bytes(bytes);
}

/// The uuid of an id that is exactly `<region>:<uuid in lower case>`, and the region.
fn split_uuid(id: &[u8]) -> Option<(&[u8], Uuid)> {
    let (before, tail) = id.split_at_checked(id.len().checked_sub(Hyphenated::LENGTH)?)?;
    let region = before.strip_suffix(b":")?;
    // Of this length only a uuid with hyphens is taken, and ids have no upper case.
    Some((region, Uuid::try_parse_ascii(tail).ok()?))
}

/// Whether an id is of a region.
fn is_of_region(id: &[u8], region: &[u8]) -> bool {
    id.strip_prefix(region)
        .is_some_and(|rest| rest.first() == Some(&b':'))
}

fn encode_id(out: &mut Vec<u8>, id: &[u8], pool: Option<&[u8]>) {
    match split_uuid(id) {
        Some((region, uuid)) => {
            if pool.is_some_and(|pool| is_of_region(pool, region)) {
                out.put_u8(ID_UUID_SAME_REGION);
            } else {
                out.put_u8(ID_UUID);
                encode_short(out, region);
            }
            out.put_bytes(uuid.as_bytes());
        }
        None => {
            out.put_u8(ID_PLAIN);
            encode_short(out, id);
        }
    }
}

pub(crate) fn encode_pool(out: &mut Vec<u8>, pool: &PoolId) {
    encode_id(out, pool.as_bytes(), None);
}

pub(crate) fn encode_identity_of(out: &mut Vec<u8>, identity: &IdentityId, pool: &PoolId) {
    encode_id(out, identity.as_bytes(), Some(pool.as_bytes()));
}

fn decode_id<T>(
    input: &mut Decoder<'_>,
    pool: Option<&[u8]>,
    parse: impl Fn(&[u8]) -> Result<T, Invalid>,
    of_uuid: impl Fn(&[u8], Uuid) -> Result<T, Invalid>,
) -> Result<T, Malformed> {
    let tag = input.u8()?;
    let of_pool = pool.and_then(|pool| pool.split(|byte| *byte == b':').next());
    let region = match (tag, of_pool) {
        (ID_UUID_SAME_REGION, Some(region)) => region,
        (ID_PLAIN | ID_UUID, _) => {
            let length = usize::from(input.u8()?);
            input.bytes(length)?
        }
        _ => {
            return Err(Malformed(
                "an id has a form that this version does not know",
            ));
        }
    };
    let id = if tag == ID_PLAIN {
        parse(region)
    } else {
        let uuid = Uuid::from_slice(input.bytes(16)?).expect("16 bytes were read");
        of_uuid(region, uuid)
    };
    id.map_err(|_| Malformed("an id is not well-formed"))
}

pub(crate) fn decode_pool(input: &mut Decoder<'_>) -> Result<PoolId, Malformed> {
    decode_id(input, None, PoolId::of_bytes, PoolId::of_uuid)
}

pub(crate) fn encode_identity(out: &mut Vec<u8>, pool: &PoolId, identity: &IdentityId) {
    encode_pool(out, pool);
    encode_identity_of(out, identity, pool);
}

pub(crate) fn decode_identity(input: &mut Decoder<'_>) -> Result<(PoolId, IdentityId), Malformed> {
    let pool = decode_pool(input)?;
    let identity = decode_identity_of(input, &pool)?;
    Ok((pool, identity))
}

/// An identity whose pool is known.
pub(crate) fn decode_identity_of(
    input: &mut Decoder<'_>,
    pool: &PoolId,
) -> Result<IdentityId, Malformed> {
    let (parse, of_uuid) = (IdentityId::of_bytes, IdentityId::of_uuid);
    decode_id(input, Some(pool.as_bytes()), parse, of_uuid)
}

pub(crate) fn decode_name(input: &mut Decoder<'_>) -> Result<DatasetName, Malformed> {
    let length = usize::from(input.u8()?);
    DatasetName::parse(input.text(length)?)
        .map_err(|_| Malformed("a dataset name is not well-formed"))
}

/// Names and their counts.
pub(super) fn encode_counts(out: &mut Vec<u8>, counts: &[(DatasetName, SyncCount)]) {
    out.put_u16(u16::try_from(counts.len()).expect("bounded by its limit"));
    for (name, sync_count) in counts {
        encode_short(out, name.as_str().as_bytes());
        out.put_u48(sync_count.get());
    }
}

pub(super) fn decode_counts(
    input: &mut Decoder<'_>,
) -> Result<Vec<(DatasetName, SyncCount)>, Malformed> {
    let count = input.u16()?;
    let mut counts = Vec::with_capacity(usize::from(count.min(64)));
    for _ in 0..count {
        let name = decode_name(input)?;
        counts.push((name, SyncCount::believed(input.u48()?)));
    }
    Ok(counts)
}

pub(crate) fn encode_dataset_id(out: &mut Vec<u8>, dataset: &DatasetId) {
    encode_identity(out, &dataset.pool, &dataset.identity);
    encode_short(out, dataset.name.as_str().as_bytes());
}

pub(crate) fn decode_dataset_id(input: &mut Decoder<'_>) -> Result<DatasetId, Malformed> {
    let (pool, identity) = decode_identity(input)?;
    Ok(DatasetId {
        pool,
        identity,
        name: decode_name(input)?,
    })
}

pub(crate) fn encode_modified_by(out: &mut Vec<u8>, modified_by: &ModifiedBy) {
    let name = match modified_by {
        ModifiedBy::Owner => "",
        ModifiedBy::Other(name) => name,
    };
    out.put_u16(u16::try_from(name.len()).expect("at most 1,024"));
    out.put_bytes(name.as_bytes());
}

pub(crate) fn decode_modified_by(input: &mut Decoder<'_>) -> Result<ModifiedBy, Malformed> {
    let length = usize::from(input.u16()?);
    match input.text(length)? {
        "" => Ok(ModifiedBy::Owner),
        name => ModifiedBy::other(name).map_err(|_| Malformed("a modifier is too long")),
    }
}

pub(crate) fn metadata_key(bytes: &[u8]) -> Result<MetadataKey, Malformed> {
    MetadataKey::new(bytes).map_err(|_| Malformed("a metadata key is not well-formed"))
}
