//! What a pool's function makes of an update: the patches that are stored instead.
//!
//! Nothing is held while the function thinks. What it was shown is expected of every record that
//! is then written, so that it never overwrites what it has not seen.

use std::collections::{BTreeMap, HashMap, HashSet};

use syncline_engine::{
    DatasetId, Listed, Listing, Patch, PatchOp, RecordKey, RecordRef, Records, Refusal, SyncCount,
    Text,
};

use super::Target;
use super::list_records::record_shape;
use crate::access::Caller;
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{self, EventsRecord};
use crate::trigger::{Call, Event, LaidOut, Op, Reply, Returned, Shown, apart};
use crate::wire::{EpochSeconds, sync as wire};

/// What the form of an event takes for each record.
const RECORD_BYTES: usize = 50;

/// An update after the function has seen it.
pub(super) struct Triggered {
    /// What is to be stored.
    pub(super) patches: Vec<Patch>,
    /// The keys of the caller's patches that the function left out.
    pub(super) left_out: Vec<RecordKey>,
    /// The keys of the caller's patches in their order; none if that is the order of keys and no
    /// function was asked.
    pub(super) order: Vec<RecordKey>,
    /// Whether the function changed anything, so that a limit that is passed is its fault.
    pub(super) changed: bool,
}

impl Triggered {
    /// An update that no function sees.
    pub(super) fn untouched(patches: Vec<Patch>) -> Self {
        let order = match patches.is_sorted_by_key(|patch| &patch.key) {
            true => Vec::new(),
            false => keys(&patches),
        };
        Self {
            patches,
            left_out: Vec::new(),
            order,
            changed: false,
        }
    }
}

/// The function that an update has to pass: none for the developer's own.
pub(super) async fn function_of(
    site: &Site,
    caller: &Caller,
    target: &Target,
) -> Result<Option<String>, ApiError> {
    if matches!(caller, Caller::Developer(_)) {
        return Ok(None);
    }
    let key = stored::events_key(target.pool()?.1.uuid);
    let reader = site.store.engine().resident_reader();
    // The way of nearly every update: the pool has no function.
    if reader.metadata_version(&key).is_none() {
        return Ok(None);
    }
    let found = Box::pin(site.load::<EventsRecord>(key)).await?;
    Ok(found.map(|(record, _)| record.sync_trigger))
}

/// Asks a function about patches.
pub(super) async fn ask(
    site: &Site,
    function: &str,
    dataset: &DatasetId,
    patches: Vec<Patch>,
) -> Result<Triggered, ApiError> {
    // Before anything is read and laid out for it.
    let call = site.triggers.place(function)?;
    let question = Question {
        region: site.config.region.clone(),
        dataset: dataset.clone(),
        listed: whole(site, dataset).await?,
        patches,
    };
    let seconds = site.now().get() / 1000;
    let (question, call, event) = apart(question.bytes(), move || {
        let event = question.lay_out(&call, seconds)?;
        Ok::<_, ApiError>((question, call, event))
    })
    .await?;
    call.ask(event, move |reply| {
        merge(reply, &question.stored(), &question.patches)
    })
    .await
}

/// What an event is made of, and what the answer is compared with.
struct Question {
    region: String,
    dataset: DatasetId,
    listed: Listed,
    patches: Vec<Patch>,
}

impl Question {
    /// About how many bytes the event will have.
    fn bytes(&self) -> usize {
        // Both values of a record are shown.
        let stored = self.listed.records().map(|record| {
            let value = record.value.map_or("", Text::as_str);
            RECORD_BYTES + record.key.as_str().len() + 2 * value.len()
        });
        let patched = self.patches.iter().map(|patch| match &patch.op {
            PatchOp::Replace(value) => RECORD_BYTES + value.as_str().len(),
            PatchOp::Remove => RECORD_BYTES,
        });
        stored.chain(patched).sum()
    }

    fn stored(&self) -> HashMap<&str, RecordRef<'_>> {
        let records = self.listed.records();
        records
            .map(|record| (record.key.as_str(), record))
            .collect()
    }

    /// The event, unless the update cannot be stored anyway.
    fn lay_out(&self, call: &Call, seconds: u64) -> Result<LaidOut, ApiError> {
        let stored = self.stored();
        refuse_stale(&stored, &self.patches)?;
        let event = Event {
            version: 2,
            event_type: "SyncTrigger",
            region: &self.region,
            identity_pool_id: self.dataset.pool.as_str(),
            identity_id: self.dataset.identity.as_str(),
            dataset_name: self.dataset.name.as_str(),
            dataset_records: shown(&stored, &self.patches),
        };
        call.lay_out(&event, seconds)
    }
}

/// What the caller is told of records that its patches named and the function left out: what is
/// stored, or else a removed record at a count and time, so that the caller comes to the same.
pub(super) async fn left_out(
    site: &Site,
    dataset: &DatasetId,
    keys: &[RecordKey],
    count: Option<SyncCount>,
    modified_ms: u64,
) -> Result<Vec<wire::Record>, ApiError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let listed = whole(site, dataset).await?;
    let identity = &dataset.identity;
    let time = EpochSeconds::from_ms(modified_ms);
    let absent = |key: &str| wire::Record {
        key: key.to_owned(),
        value: None,
        sync_count: count.unwrap_or(listed.sync_count).get(),
        last_modified_date: time,
        last_modified_by: identity.to_string(),
        device_last_modified_date: time,
    };
    let mut wanted: BTreeMap<&str, Option<wire::Record>> =
        keys.iter().map(|key| (key.as_str(), None)).collect();
    for record in listed.records() {
        if let Some(place) = wanted.get_mut(record.key.as_str()) {
            *place = Some(record_shape(identity, &record).to_owned());
        }
    }
    let found = wanted.into_iter();
    Ok(found
        .map(|(key, record)| record.unwrap_or_else(|| absent(key)))
        .collect())
}

async fn whole(site: &Site, dataset: &DatasetId) -> Result<Listed, ApiError> {
    let wanted = dataset.clone();
    let read = site
        .store
        .read(move |reader| reader.list(&wanted, &Listing::default()));
    Ok(read.await?)
}

/// A function is not asked about an update that cannot be stored anyway.
fn refuse_stale(stored: &HashMap<&str, RecordRef<'_>>, patches: &[Patch]) -> Result<(), ApiError> {
    for patch in patches {
        if let Some(record) = stored.get(patch.key.as_str())
            && record.sync_count != patch.sync_count
        {
            return Err(Refusal::Conflict {
                key: patch.key.clone(),
                server: record.sync_count,
                client: patch.sync_count,
            }
            .into());
        }
    }
    Ok(())
}

/// All live records, and over them what the patches do. Tombstones show only as the old value that
/// is not there.
fn shown<'a>(
    stored: &HashMap<&'a str, RecordRef<'a>>,
    patches: &'a [Patch],
) -> BTreeMap<&'a str, Shown<'a>> {
    let mut all: BTreeMap<&str, Shown<'_>> = stored
        .values()
        .filter(|record| record.value.is_some())
        .map(|record| {
            let value = record.value.map(Text::as_str);
            let shown = Shown {
                old_value: value,
                new_value: value,
                op: Op::Replace,
            };
            (record.key.as_str(), shown)
        })
        .collect();
    for patch in patches {
        let key = patch.key.as_str();
        let old_value = all.get(key).and_then(|shown| shown.old_value);
        let (new_value, op) = match &patch.op {
            PatchOp::Replace(value) => (Some(value.as_str()), Op::Replace),
            PatchOp::Remove => (None, Op::Remove),
        };
        let shown = Shown {
            old_value,
            new_value,
            op,
        };
        all.insert(key, shown);
    }
    all
}

/// The patches that do what the function answered: the caller's in their order, then the
/// function's own by key.
fn merge(mut reply: Reply, stored: &HashMap<&str, RecordRef<'_>>, patches: &[Patch]) -> Triggered {
    let (mut kept, mut left_out, mut changed) = (Vec::new(), Vec::new(), false);
    for patch in patches {
        let Some(returned) = reply.records.remove(&patch.key) else {
            left_out.push(patch.key.clone());
            // What was to go stays, and takes room.
            changed |= patch.op == PatchOp::Remove;
            continue;
        };
        let op = op_of(returned);
        changed |= op != patch.op;
        kept.push(Patch {
            op,
            ..patch.clone()
        });
    }
    for (key, returned) in reply.records {
        let found = stored.get(key.as_str());
        let old = found.and_then(|record| record.value);
        let is_same = match &returned {
            Returned::Replace(value) => old.is_some_and(|old| old == value.as_str()),
            Returned::Remove => old.is_none(),
        };
        if is_same {
            continue;
        }
        changed = true;
        kept.push(Patch {
            key,
            op: op_of(returned),
            sync_count: found.map_or(SyncCount::ZERO, |record| record.sync_count),
            device_modified: None,
        });
    }
    Triggered {
        patches: kept,
        left_out,
        order: keys(patches),
        changed,
    }
}

fn op_of(returned: Returned) -> PatchOp {
    match returned {
        Returned::Replace(value) => PatchOp::Replace(value),
        Returned::Remove => PatchOp::Remove,
    }
}

/// The keys of patches in their order.
pub(super) fn keys(patches: &[Patch]) -> Vec<RecordKey> {
    patches.iter().map(|patch| patch.key.clone()).collect()
}

/// Brings an answer that is ordered by key into the order of the patches, if they have one of their
/// own; what they did not name comes behind, by key.
pub(super) fn in_order(records: &mut [wire::Record<&str>], patches: &[RecordKey]) {
    if patches.is_empty() {
        return;
    }
    let places: HashMap<&str, usize> = patches
        .iter()
        .enumerate()
        .map(|(place, key)| (key.as_str(), place))
        .collect();
    records.sort_by(|one, other| {
        let rank = |record: &wire::Record<&str>| {
            let place = places.get(record.key).copied();
            place.unwrap_or(usize::MAX)
        };
        (rank(one), one.key).cmp(&(rank(other), other.key))
    });
}

/// The keys of patches that a commit did not write.
pub(super) fn not_written(patches: &[Patch], written: &Records) -> Vec<RecordKey> {
    let written: HashSet<_> = written.iter().map(|record| record.key).collect();
    let keys = patches.iter().map(|patch| &patch.key);
    keys.filter(|key| !written.contains(&key.as_str().into()))
        .cloned()
        .collect()
}
