//! Whom a change is to be told: the devices that follow the dataset, but for the one that made it.

use syncline_engine::{DatasetId, Error, Fault, MetadataKey, ModifiedBy, Sequence};
use uuid::Uuid;

use crate::error::Chain;
use crate::site::Site;
use crate::site::stored::{self, ConfigurationRecord, DeviceRecord, SubscribersRecord};
use crate::wire::arn;

/// The devices to be told, each with the application that delivers to it.
pub(super) async fn of(
    site: &Site,
    dataset: &DatasetId,
    modified_by: &ModifiedBy,
) -> Result<Vec<(String, Uuid)>, Error> {
    let ids = (
        stored::Id::parse(dataset.pool.as_str()),
        stored::Id::parse(dataset.identity.as_str()),
    );
    let (Some(pool), Some(identity)) = ids else {
        return Ok(Vec::new());
    };
    let key = stored::subscribers_key(pool.uuid, identity.uuid, &dataset.name);
    let reader = site.store.engine().resident_reader();
    // The way of nearly every change: nobody follows.
    if reader.metadata_version(&key).is_none() {
        return Ok(Vec::new());
    }
    let Some((subscribers, _)) = legible::<SubscribersRecord>(site, key).await? else {
        return Ok(Vec::new());
    };
    let key = stored::configuration_key(pool.uuid);
    let settings = legible::<ConfigurationRecord>(site, key).await?;
    let push = settings.and_then(|(settings, _)| settings.push);
    let applications = push.unwrap_or_default().applications;
    let mut audience = Vec::new();
    for device in subscribers.devices {
        let id = Uuid::from_bytes(device);
        if *modified_by == ModifiedBy::Other(id.to_string().into()) {
            continue;
        }
        let key = stored::device_key(pool.uuid, identity.uuid, id);
        let Some((device, _)) = legible::<DeviceRecord>(site, key).await? else {
            continue;
        };
        let platform = Some(device.platform.name());
        let mut of_platform = applications
            .iter()
            .filter(|application| arn::platform(application) == platform);
        match of_platform.find(|application| site.config.push.contains_key(*application)) {
            Some(application) => audience.push((application.clone(), id)),
            None => site.push.told("none", "unconfigured", 1),
        }
    }
    Ok(audience)
}

/// The record under a key. One that cannot be understood is logged and counts as none: it is no
/// reason to tell nobody anything any more.
pub(super) async fn legible<T: bincode::Decode<()>>(
    site: &Site,
    key: MetadataKey,
) -> Result<Option<(T, Sequence)>, Error> {
    let read = site.store.read(move |reader| reader.metadata(&key)).await;
    let metadata = match read {
        Ok(Some(metadata)) => metadata,
        Ok(None) => return Ok(None),
        Err(Error::Fault(fault @ Fault::Corrupt { .. })) => {
            tracing::error!("passed over in pushing: {}", Chain(&fault));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    match stored::decode(&metadata) {
        Ok(record) => Ok(Some((record, metadata.version))),
        Err(error) => {
            tracing::error!("passed over in pushing: {}", Chain(&error));
            Ok(None)
        }
    }
}
