//! Names that many datasets have, kept in memory once where they are too long to be kept in place:
//! an app gives its users the same few.

use crate::codec::{Decoder, Malformed};
use crate::commit::names::decode_name;
use crate::types::DatasetName;

/// Names that are remembered at a time; beyond that a name merely has copies.
const SLOTS: usize = 1024;

/// The names that were met last.
pub(super) struct Familiar {
    slots: Vec<Option<DatasetName>>,
}

impl Familiar {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![None; SLOTS],
        }
    }

    /// The next name: one that is known if there was the same before.
    pub(super) fn decode(&mut self, input: &mut Decoder<'_>) -> Result<DatasetName, Malformed> {
        let mut ahead = *input;
        let length = usize::from(ahead.u8()?);
        let bytes = ahead.bytes(length)?;
        let slot = &mut self.slots[slot(bytes)];
        if let Some(known) = slot
            .as_ref()
            .filter(|name| name.as_str().as_bytes() == bytes)
        {
            *input = ahead;
            return Ok(known.clone());
        }
        let name = decode_name(input)?;
        *slot = Some(name.clone());
        Ok(name)
    }
}

/// FNV-1a: quick for what is so short. Whoever makes names collide only gets copies.
fn slot(bytes: &[u8]) -> usize {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (hash ^ (hash >> 16)) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::names::encode_short;

    /// Too long to be kept in place.
    const LONG: &str = "settings-of-everything-that-there-is";

    #[test]
    fn equal_names_are_kept_once_and_others_are_told_apart() {
        let texts: Vec<_> = (0..3000).map(|n| format!("name-{}", n % 1500)).collect();
        let mut bytes = Vec::new();
        for text in &texts {
            encode_short(&mut bytes, text.as_bytes());
            encode_short(&mut bytes, LONG.as_bytes());
        }
        let mut input = Decoder::new(&bytes);
        let mut familiar = Familiar::new();
        let mut settings = Vec::new();
        for text in &texts {
            assert_eq!(familiar.decode(&mut input).unwrap().as_str(), text);
            settings.push(familiar.decode(&mut input).unwrap());
        }
        input.finish().unwrap();
        assert!(settings.iter().all(|name| name.as_str() == LONG));
        // Others may have taken its place in between, but only a few have the same.
        let same = |pair: &[DatasetName]| std::ptr::eq(pair[0].as_str(), pair[1].as_str());
        assert!(settings.windows(2).filter(|pair| same(pair)).count() > 2900);
    }

    #[test]
    fn what_is_not_a_name_is_refused_each_time() {
        let mut familiar = Familiar::new();
        for bytes in [&b"\x03a b"[..], b"\x00", b"\x05abc", b"", b"\x03a b"] {
            assert!(familiar.decode(&mut Decoder::new(bytes)).is_err());
        }
    }
}
