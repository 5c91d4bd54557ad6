//! Fixed-width little-endian numbers and length-prefixed bytes: the alphabet of everything on
//! disk. A [`Decoder`] never reads past its input and never panics.

use crate::limits::U48_MAX;

/// The input ends too early, or holds what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Reads numbers and bytes from the front of its input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (front, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(front)
    }

    pub(crate) fn text(&mut self, length: usize) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Malformed("text is not UTF-8"))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (front, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*front)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u48(&mut self) -> Result<u64, Malformed> {
        self.array().map(u48)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed("it has bytes after its end"))
        }
    }
}

/// A count or a time.
pub(crate) fn u48([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

/// Appends numbers to bytes that will be written.
pub(crate) trait Encode {
    fn put_bytes(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put_bytes(&[value]);
    }

    fn put_u16(&mut self, value: u16) {
        self.put_bytes(&value.to_le_bytes());
    }

    fn put_u24(&mut self, value: u32) {
        assert!(value < 1 << 24, "lengths of values take 24 bits");
        self.put_bytes(&value.to_le_bytes()[..3]);
    }

    fn put_u32(&mut self, value: u32) {
        self.put_bytes(&value.to_le_bytes());
    }

    fn put_u48(&mut self, value: u64) {
        assert!(value <= U48_MAX, "counts and times take 48 bits");
        self.put_bytes(&value.to_le_bytes()[..6]);
    }

    fn put_u64(&mut self, value: u64) {
        self.put_bytes(&value.to_le_bytes());
    }
}

impl Encode for Vec<u8> {
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// What is left of a field of fixed length, which must be long enough.
impl Encode for &mut [u8] {
    fn put_bytes(&mut self, bytes: &[u8]) {
        let (front, rest) = std::mem::take(self).split_at_mut(bytes.len());
        front.copy_from_slice(bytes);
        *self = rest;
    }
}
