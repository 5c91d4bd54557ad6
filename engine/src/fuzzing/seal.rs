//! Makes checksums right in bytes that were changed.

use crate::frame::{ALIGNMENT, HEADER_BYTES};

use super::Mode;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// A frame header under a salt; gives its checksum.
pub(super) fn header(bytes: &mut [u8], salt: &[u8]) -> u32 {
    let sum = checksum(&[salt, &bytes[..HEADER_BYTES - 4]]);
    put(bytes, HEADER_BYTES - 4, sum);
    sum
}

/// A segment whose frames follow its 72 bytes of header at once. `chain` is that of the frame
/// before, and of the last frame afterwards.
pub(super) fn segment(bytes: &mut [u8], mode: Mode, chain: &mut u32) {
    if !mode.sealed || bytes.len() < super::decoders::SEGMENT_HEADER_BYTES {
        return;
    }
    if mode.chained {
        put(bytes, 64, *chain);
    }
    let sum = checksum(&[&bytes[..68]]);
    put(bytes, 68, sum);
    let salt = bytes[56..64].to_vec();
    let mut at = super::decoders::SEGMENT_HEADER_BYTES;
    while let Some(length) = word(bytes, at + 4) {
        let frame = &mut bytes[at..];
        let body = HEADER_BYTES.saturating_add(length as usize);
        if frame.len() < HEADER_BYTES || frame[..HEADER_BYTES].iter().all(|&b| b == 0) {
            return;
        }
        if mode.chained {
            put(frame, 24, *chain);
        }
        if let Some(payload) = frame.get(HEADER_BYTES..body) {
            let sum = checksum(&[payload]);
            put(frame, 28, sum);
        }
        *chain = header(frame, &salt);
        at = at.saturating_add(body.next_multiple_of(ALIGNMENT as usize));
    }
}

/// A checkpoint: every block whose length fits.
pub(super) fn checkpoint(bytes: &mut [u8], mode: Mode) {
    if !mode.sealed {
        return;
    }
    let mut at = 12;
    while let Some(length) = word(bytes, at) {
        let end = at + 8 + (length & !(1 << 31)) as usize;
        let Some(body) = bytes.get(at + 8..end) else {
            return;
        };
        let sum = checksum(&[&length.to_le_bytes(), body]);
        put(bytes, at + 4, sum);
        at = end;
    }
}

/// The file `STORE`.
pub(super) fn root(bytes: &mut [u8], mode: Mode) {
    if mode.sealed && bytes.len() >= 18 {
        let sum = checksum(&[&bytes[..14], &bytes[18..]]);
        put(bytes, 14, sum);
    }
}
