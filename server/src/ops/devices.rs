//! RegisterDevice, SubscribeToDataset and UnsubscribeFromDataset: which devices want to be told of
//! changes to which datasets.

use syncline_engine::{
    DatasetId, Error, Expected, MetadataKey, Proposal, Reader, Refusal, Sequence, Wish,
};
use uuid::Uuid;

use super::Target;
use super::change::{Change, Unchanged};
use super::configuration::require_application;
use super::datasets::no_dataset;
use crate::access::Caller;
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{self, DeviceRecord, Platform, SubscribersRecord};
use crate::wire::device as wire;
use crate::wire::{Violations, json};

/// Most devices of an identity. Tokens change with every new installation of an app, so old ones
/// pile up: beyond this the one that was registered longest ago makes room.
const DEVICES_MAX: usize = 100;
/// Times that a registration is tried while others change the same records.
const TRIES: usize = 8;
/// Longest token in characters. Platforms promise no bound; Google's stay below 4 KiB.
const TOKEN_CHARS_MAX: usize = 4096;

/// Registers a device, or the same one again.
pub(super) async fn register_device(
    site: &Site,
    caller: &Caller,
    target: &Target,
    body: &[u8],
) -> Result<wire::RegisterDeviceOutput, ApiError> {
    let input: wire::RegisterDeviceInput = json::read(body)?;
    let device = checked(input, site.now().get())?;
    require_application(site, target, device.platform).await?;
    let (pool, identity) = (target.pool()?.1.uuid, target.identity()?.1.uuid);
    let id = device.id(identity);
    let key = stored::device_key(pool, identity, id);
    let value = stored::encode(&device)
        .ok_or_else(|| ApiError::bug("a record that was checked is too large"))?;
    let there = target.still_there()?;
    for _ in 0..TRIES {
        let reader = site.store.engine().resident_reader();
        let mut wishes = too_many(&reader, pool, identity, &key);
        let known = reader.metadata_version(&key);
        if known.is_none() {
            wishes.extend(without(site, pool, identity, id).await?);
        }
        wishes.push(Wish::PutMetadata {
            key: key.clone(),
            value: value.clone(),
            expected: known.map_or(Expected::Nothing, |_| Expected::Something),
        });
        let proposal = Proposal {
            expect: there.clone(),
            wishes,
            ..Proposal::default()
        };
        match site.store.commit(proposal).await {
            Err(Error::Refusal(Refusal::Unexpected { key, .. }))
                if there.iter().all(|(expected, _)| *expected != key) => {}
            committed => {
                committed.map_err(|error| target.refused(caller, error))?;
                return Ok(wire::RegisterDeviceOutput {
                    device_id: id.to_string(),
                });
            }
        }
    }
    Err(ApiError::too_many_requests("Rate exceeded"))
}

/// What takes a device off all lists of followers. A device that was dropped is still on them, and
/// has the same id when it comes back: then it is to follow what it subscribes to, and no more.
async fn without(
    site: &Site,
    pool: Uuid,
    identity: Uuid,
    device: Uuid,
) -> Result<Vec<Wish>, ApiError> {
    let prefix = stored::followers_prefix(pool, identity);
    let reader = site.store.engine().resident_reader();
    let mut wishes = Vec::new();
    for (key, _) in reader.scan_keys(&prefix, None, usize::MAX) {
        let Some((mut record, version)) = site.load::<SubscribersRecord>(key.clone()).await? else {
            continue;
        };
        let Ok(place) = record.devices.binary_search(device.as_bytes()) else {
            continue;
        };
        record.devices.remove(place);
        let expected = Expected::Version(version);
        if record.devices.is_empty() {
            wishes.push(Wish::DeleteMetadata { key, expected });
            continue;
        }
        let value = stored::encode(&record)
            .ok_or_else(|| ApiError::bug("a record that was checked is too large"))?;
        wishes.push(Wish::PutMetadata {
            key,
            value,
            expected,
        });
    }
    Ok(wishes)
}

/// Lets a device follow a dataset. Both must exist.
pub(super) async fn subscribe(
    site: &Site,
    caller: &Caller,
    target: &Target,
    device: &str,
) -> Result<wire::EmptyOutput, ApiError> {
    let (dataset, id, key) = place(target, device)?;
    let found = site.load::<DeviceRecord>(key.clone()).await?;
    let (record, _) = found.ok_or_else(|| no_device(device))?;
    require_application(site, target, record.platform).await?;
    require_dataset(site, &dataset).await?;
    let mut change = change(site, target, &dataset)?;
    change.expect.push((key.clone(), Expected::Something));
    let registered = |device: &[u8; 16]| is_registered(site, target, *device);
    let made = change.make(|old: Option<&SubscribersRecord>| {
        let mut devices = old.cloned().unwrap_or_default().devices;
        // Those that are gone leave here, so that the list is as short as that of the devices.
        devices.retain(registered);
        if let Err(place) = devices.binary_search(id.as_bytes()) {
            devices.insert(place, *id.as_bytes());
        }
        Ok((Some(SubscribersRecord { devices }), ()))
    });
    made.await.map_err(|unchanged| match unchanged {
        Unchanged::Gone(gone) if gone == key => no_device(device),
        unchanged => refused(target, caller, unchanged),
    })?;
    // A deletion that came just before would leave a follower of nothing; one that comes later
    // takes it along.
    if let Err(gone) = require_dataset(site, &dataset).await {
        unsubscribe(site, caller, target, device).await?;
        return Err(gone);
    }
    Ok(wire::EmptyOutput {})
}

/// Lets a device no longer follow a dataset.
pub(super) async fn unsubscribe(
    site: &Site,
    caller: &Caller,
    target: &Target,
    device: &str,
) -> Result<wire::EmptyOutput, ApiError> {
    let (dataset, id, _) = place(target, device)?;
    let change = change(site, target, &dataset)?;
    let made = change.make(|old: Option<&SubscribersRecord>| {
        let mut devices = old.cloned().unwrap_or_default().devices;
        let Ok(place) = devices.binary_search(id.as_bytes()) else {
            return Err(ApiError::not_found(format!(
                "Device '{device}' is not subscribed to Dataset '{}'",
                dataset.name
            )));
        };
        devices.remove(place);
        let left = (!devices.is_empty()).then_some(SubscribersRecord { devices });
        Ok((left, ()))
    });
    made.await
        .map_err(|unchanged| refused(target, caller, unchanged))?;
    Ok(wire::EmptyOutput {})
}

fn checked(input: wire::RegisterDeviceInput, now_ms: u64) -> Result<DeviceRecord, ApiError> {
    let mut violations = Violations::new();
    violations.required("platform", input.platform.as_ref());
    let platform = input.platform.as_deref().and_then(Platform::parse);
    if let Some(name) = &input.platform {
        violations.one_of("platform", name, &Platform::NAMES);
    }
    violations.required("token", input.token.as_ref());
    if let Some(token) = &input.token {
        violations.length("token", token, 1, TOKEN_CHARS_MAX);
    }
    violations.finish()?;
    Ok(DeviceRecord {
        platform: platform.ok_or_else(|| ApiError::bug("a platform that was checked"))?,
        token: input.token.unwrap_or_default(),
        registered_ms: now_ms,
    })
}

/// What makes room for a device that is not registered yet: the oldest go.
fn too_many(reader: &Reader<'_>, pool: Uuid, identity: Uuid, key: &MetadataKey) -> Vec<Wish> {
    let prefix = stored::devices_prefix(pool, identity);
    let mut found = reader.scan_keys(&prefix, None, usize::MAX);
    found.retain(|(known, _)| known != key);
    found.sort_unstable_by_key(|(_, version): &(MetadataKey, Sequence)| *version);
    let surplus = (found.len() + 1).saturating_sub(DEVICES_MAX);
    let oldest = found.into_iter().take(surplus);
    oldest
        .map(|(key, _)| Wish::DeleteMetadata {
            key,
            expected: Expected::Anything,
        })
        .collect()
}

/// The dataset and the device that a path names, and the device's key.
fn place(target: &Target, device: &str) -> Result<(DatasetId, Uuid, MetadataKey), ApiError> {
    let (pool, identity) = (target.pool()?.1.uuid, target.identity()?.1.uuid);
    // Another spelling of a uuid would be another id.
    let id = Uuid::try_parse(device)
        .ok()
        .filter(|id| id.to_string() == device)
        .ok_or_else(|| no_device(device))?;
    Ok((
        target.dataset()?,
        id,
        stored::device_key(pool, identity, id),
    ))
}

fn change<'a>(
    site: &'a Site,
    target: &Target,
    dataset: &DatasetId,
) -> Result<Change<'a>, ApiError> {
    let (pool, identity) = (target.pool()?.1.uuid, target.identity()?.1.uuid);
    Ok(Change {
        site,
        key: stored::subscribers_key(pool, identity, &dataset.name),
        expect: target.still_there()?,
    })
}

fn is_registered(site: &Site, target: &Target, device: [u8; 16]) -> bool {
    let (Some((_, pool)), Some((_, identity))) = (&target.pool, &target.identity) else {
        return false;
    };
    let key = stored::device_key(pool.uuid, identity.uuid, Uuid::from_bytes(device));
    let reader = site.store.engine().resident_reader();
    reader.metadata_version(&key).is_some()
}

async fn require_dataset(site: &Site, dataset: &DatasetId) -> Result<(), ApiError> {
    let wanted = dataset.clone();
    let found = site
        .store
        .read(move |reader| reader.dataset(&wanted))
        .await?;
    found.map(|_| ()).ok_or_else(|| no_dataset(&dataset.name))
}

fn refused(target: &Target, caller: &Caller, unchanged: Unchanged) -> ApiError {
    match unchanged {
        Unchanged::Gone(_) => target.gone(caller),
        Unchanged::Raced => ApiError::too_many_requests("Rate exceeded"),
        Unchanged::Error(error) => error,
    }
}

fn no_device(device: &str) -> ApiError {
    ApiError::not_found(format!("Device '{device}' not found"))
}
