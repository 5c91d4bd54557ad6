//! Developers' access keys beside the root key.

use bincode::{Decode, Encode};
use syncline_engine::MetadataKey;

use super::{DEVELOPER_KEY, key};

/// A developer's access key. Nothing of it is secret: its secret follows from its id and the nonce
/// by a master secret in the file `keys`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct DeveloperKeyRecord {
    /// Which master secret.
    pub master: u32,
    /// Random, so that no two keys have one secret even if they had one id.
    pub nonce: [u8; 16],
    /// For people.
    pub name: String,
    /// The pools that it reaches; none named: all.
    pub pools: Vec<String>,
    /// Whether it may only read.
    pub read_only: bool,
    /// Whether it is good at present.
    pub enabled: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

/// The key of a developer's access key.
#[must_use]
pub fn developer_key(access_key_id: &str) -> MetadataKey {
    key(DEVELOPER_KEY, &[access_key_id.as_bytes()])
}

/// The access key id that a key is of.
#[must_use]
pub fn developer_of(key: &MetadataKey) -> Option<&str> {
    match key.as_bytes() {
        [DEVELOPER_KEY, id @ ..] => std::str::from_utf8(id).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use syncline_engine::{Metadata, Sequence};

    use super::*;
    use crate::site::stored::{decode, encode};

    #[test]
    fn its_bytes_are_pinned() {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let key = developer_key("AKIAAAAABBBBCCCCDDDD");
        assert_eq!(
            hex(key.as_bytes()),
            "40414b494141414141424242424343434344444444"
        );
        assert_eq!(developer_of(&key), Some("AKIAAAAABBBBCCCCDDDD"));
        let record = DeveloperKeyRecord {
            master: 2,
            nonce: [3; 16],
            name: "ci".to_owned(),
            pools: vec!["r:1".to_owned()],
            read_only: true,
            enabled: true,
            created_ms: 258,
        };
        let value = encode(&record).unwrap();
        assert_eq!(
            hex(value.as_bytes()),
            "0153494d6f02000000030303030303030303030303030303030200000000000000636901000000000000\
             000300000000000000723a3101010201000000000000"
        );
        let version = Sequence::new(1);
        let found = Metadata {
            key,
            version,
            value,
        };
        assert_eq!(decode(&found), Ok(record));
    }
}
