//! The change of a dataset as bytes.

use bytes::Bytes;

use super::names::{decode_dataset_id, decode_modified_by, encode_dataset_id, encode_modified_by};
use super::{
    Cause, DATASET_IMAGE, DATASET_IMPORTED, DATASET_REPUBLISHED, DATASET_UPDATED, DatasetChange,
    Facts, Gap, WITH_GAP, WITH_IMAGE, decode_location, encode_location,
};
use crate::codec::{Decoder, Encode, Malformed};
use crate::records::Records;
use crate::types::{Extent, SyncCount, Timestamp};

impl DatasetChange {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let facts = &self.facts;
        encode_dataset_id(out, &self.dataset);
        out.put_u48(facts.sync_count.get());
        out.put_u48(facts.floor.get());
        if let Some(gap) = &facts.gap {
            out.put_u48(gap.from.get());
            out.put_u48(gap.to.get());
        }
        out.put_u48(self.covers_from.get());
        if self.covers_from != SyncCount::ZERO {
            let link = self
                .link
                .expect("what does not cover everything has a link");
            encode_location(out, link);
        }
        if let Some(image) = self.image {
            encode_location(out, image.location);
            out.put_u32(image.bytes);
        }
        out.put_u32(facts.bytes);
        out.put_u32(facts.live);
        out.put_u16(u16::try_from(facts.tombstones).expect("bounded by its limit"));
        out.put_u32(facts.tombstone_bytes);
        out.put_u48(facts.created.get());
        out.put_u48(facts.modified.get());
        encode_modified_by(out, &facts.modified_by);
        out.put_u32(u32::try_from(self.records.len()).expect("bounded by its limit"));
        out.put_bytes(self.records.bytes());
    }

    pub(super) fn decode(kind: u8, body: &Bytes) -> Result<Self, Malformed> {
        let cause = dataset_cause(kind).ok_or(Malformed("the change is not of a dataset"))?;
        let mut input = Decoder::new(body);
        let dataset = decode_dataset_id(&mut input)?;
        let sync_count = SyncCount::believed(input.u48()?);
        let floor = SyncCount::believed(input.u48()?);
        let gap = if kind & WITH_GAP == 0 {
            None
        } else {
            let (from, to) = (input.u48()?, input.u48()?);
            Some(Gap {
                from: SyncCount::believed(from),
                to: SyncCount::believed(to),
            })
        };
        let covers_from = SyncCount::believed(input.u48()?);
        let link = if covers_from == SyncCount::ZERO {
            None
        } else {
            Some(decode_location(&mut input)?)
        };
        let image = if kind & WITH_IMAGE == 0 {
            None
        } else {
            let (location, bytes) = (decode_location(&mut input)?, input.u32()?);
            Some(Extent { location, bytes })
        };
        let (bytes, live) = (input.u32()?, input.u32()?);
        let (tombstones, tombstone_bytes) = (u32::from(input.u16()?), input.u32()?);
        let created = Timestamp::believed(input.u48()?);
        let modified = Timestamp::believed(input.u48()?);
        let modified_by = decode_modified_by(&mut input)?;
        let count = input.u32()? as usize;
        let records = Records::decode(body.slice(body.len() - input.remaining()..), count)?;
        let in_range = records
            .iter()
            .all(|record| record.sync_count > covers_from && record.sync_count <= sync_count);
        let below_floor = covers_from != SyncCount::ZERO && covers_from < floor;
        if sync_count == SyncCount::ZERO || covers_from >= sync_count || !in_range || below_floor {
            return Err(Malformed("a dataset's counts contradict each other"));
        }
        let facts = Facts {
            sync_count,
            floor,
            bytes,
            live,
            tombstones,
            tombstone_bytes,
            created,
            modified,
            modified_by,
            gap,
        };
        Ok(Self {
            cause,
            dataset,
            facts,
            covers_from,
            link,
            image,
            records,
        })
    }
}

/// Why a change of this kind writes a dataset; `None` if it does not.
pub(super) fn dataset_cause(kind: u8) -> Option<Cause> {
    match kind & !(WITH_IMAGE | WITH_GAP) {
        DATASET_UPDATED => Some(Cause::Update),
        DATASET_IMAGE => Some(Cause::Image),
        DATASET_REPUBLISHED => Some(Cause::Republish),
        DATASET_IMPORTED => Some(Cause::Import),
        _ => None,
    }
}
