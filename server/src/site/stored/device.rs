//! Devices that want to be told of changes, and which datasets they follow.

use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};
use syncline_engine::{DatasetName, MetadataKey};
use uuid::{Builder, Uuid};

use super::{DEVICE, SUBSCRIBERS, key};

/// A platform that delivers push messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Platform {
    /// Apple's.
    Apns,
    /// Apple's, for development.
    ApnsSandbox,
    /// Google's.
    Gcm,
    /// Amazon's.
    Adm,
}

impl Platform {
    /// The names in the API model.
    pub const NAMES: [&'static str; 4] = ["APNS", "APNS_SANDBOX", "GCM", "ADM"];

    /// The name in the API model.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apns => "APNS",
            Self::ApnsSandbox => "APNS_SANDBOX",
            Self::Gcm => "GCM",
            Self::Adm => "ADM",
        }
    }

    /// The platform of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Apns, Self::ApnsSandbox, Self::Gcm, Self::Adm]
            .into_iter()
            .find(|platform| platform.name() == name)
    }
}

/// A device of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeviceRecord {
    /// Who delivers to it.
    pub platform: Platform,
    /// Its address there.
    pub token: String,
    /// When it was registered last, in milliseconds since 1970.
    pub registered_ms: u64,
}

impl DeviceRecord {
    /// The id of this device under an identity: always the same for the same platform and token,
    /// so that registering twice makes one device.
    #[must_use]
    pub fn id(&self, identity: Uuid) -> Uuid {
        let hash = Sha256::new()
            .chain_update(identity.as_bytes())
            .chain_update(self.platform.name())
            .chain_update([0])
            .chain_update(&self.token)
            .finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        Builder::from_custom_bytes(half).into_uuid()
    }
}

/// The devices that follow a dataset. Some may be registered no longer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct SubscribersRecord {
    /// Their ids, in order.
    pub devices: Vec<[u8; 16]>,
}

/// The key of a device.
#[must_use]
pub fn device_key(pool: Uuid, identity: Uuid, device: Uuid) -> MetadataKey {
    let ids = [pool.as_bytes(), identity.as_bytes(), device.as_bytes()];
    key(DEVICE, &ids.map(<[u8; 16]>::as_slice))
}

/// What the keys of all devices of an identity begin with.
#[must_use]
pub fn devices_prefix(pool: Uuid, identity: Uuid) -> Vec<u8> {
    prefix(DEVICE, pool, identity)
}

/// What the keys of the followers of all datasets of an identity begin with.
#[must_use]
pub fn followers_prefix(pool: Uuid, identity: Uuid) -> Vec<u8> {
    prefix(SUBSCRIBERS, pool, identity)
}

fn prefix(kind: u8, pool: Uuid, identity: Uuid) -> Vec<u8> {
    [&[kind], &pool.as_bytes()[..], identity.as_bytes()].concat()
}

/// The device that a key is of.
#[must_use]
pub fn device_of(key: &MetadataKey) -> Option<Uuid> {
    let [DEVICE, rest @ ..] = key.as_bytes() else {
        return None;
    };
    Uuid::from_slice(rest.get(32..)?).ok()
}

/// The key of the devices that follow a dataset.
#[must_use]
pub fn subscribers_key(pool: Uuid, identity: Uuid, dataset: &DatasetName) -> MetadataKey {
    let name = dataset.as_str().as_bytes();
    key(SUBSCRIBERS, &[pool.as_bytes(), identity.as_bytes(), name])
}
