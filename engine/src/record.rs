//! One record, and a run of records in listing order (sync count, then key), as they lie on disk.
//!
//! A run is what frames carry, what a page is made of and what a listing hands out: always the
//! same bytes, never copied in between. Layout in `docs/FORMAT.md`.

use bytes::Bytes;

use crate::codec::{Decoder, Encode, Malformed};
use crate::limits::{KEY_BYTES_MAX, MODIFIED_BY_BYTES_MAX, RECORD_HEADER_BYTES};
use crate::types::{ModifiedBy, RecordKey, RecordValue, SyncCount, Text, Timestamp};

/// Set in the key length of a record without a value.
const TOMBSTONE: u16 = 1 << 15;

/// A record, or the tombstone of one.
///
/// ```
/// use syncline_engine::FeedChange;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let mut feed = engine.feed(engine.tail())?;
/// let commits = feed.read()?;
/// let FeedChange::Updated { records, .. } = &commits[0].changes[0] else {
///     return Err("records were written".into());
/// };
/// assert_eq!(records[0].key.as_str(), "theme");
/// assert_eq!(records[0].value.as_ref().map(|value| value.as_str()), Some("dark"));
/// assert_eq!(records[0].sync_count.get(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: RecordKey,
    /// Its value; `None` makes it a tombstone.
    pub value: Option<RecordValue>,
    /// The count of the commit that wrote it.
    pub sync_count: SyncCount,
    /// When it was committed.
    pub modified: Timestamp,
    /// Who wrote it.
    pub modified_by: ModifiedBy,
    /// When the device changed it, as the device told.
    pub device_modified: Timestamp,
}

/// A record in place: like [`Record`], without a copy.
///
/// ```
/// use syncline_engine::{Listing, RecordRef};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let listed = engine.reader().list(&settings, &Listing::default())?;
/// for RecordRef { key, value, sync_count, .. } in listed.records() {
///     println!("{key} = {value:?} since {sync_count}");
/// }
/// # assert_eq!(listed.records().len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its key.
    pub key: Text<'a>,
    /// Its value; `None` makes it a tombstone.
    pub value: Option<Text<'a>>,
    /// The count of the commit that wrote it.
    pub sync_count: SyncCount,
    /// When it was committed.
    pub modified: Timestamp,
    /// Who wrote it; `None` means the identity that owns the dataset.
    pub modified_by: Option<Text<'a>>,
    /// When the device changed it, as the device told.
    pub device_modified: Timestamp,
}

impl<'a> RecordRef<'a> {
    /// Bytes that the record counts for in sizes: key and value, nothing for a tombstone.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// let listed = engine.reader().list(&settings, &Default::default())?;
    /// let sizes: Vec<_> = listed.records().map(|record| record.size()).collect();
    /// assert_eq!(sizes, ["theme".len() + "dark".len(), "volume".len() + "7".len()]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn size(&self) -> usize {
        self.value.map_or(0, |value| self.key.len() + value.len())
    }

    /// A copy with a life of its own.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// let reader = engine.reader();
    /// let records: Vec<_> = {
    ///     let listed = reader.list(&settings, &Default::default())?;
    ///     listed.records().map(|record| record.to_record()).collect()
    /// };
    /// assert_eq!(records[1].key.as_str(), "volume");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_record(&self) -> Record {
        Record {
            key: RecordKey::believed(self.key.as_str()),
            value: self
                .value
                .map(|value| RecordValue::believed(value.as_str())),
            sync_count: self.sync_count,
            modified: self.modified,
            modified_by: self.modified_by.map_or(ModifiedBy::Owner, |name| {
                ModifiedBy::Other(name.as_str().into())
            }),
            device_modified: self.device_modified,
        }
    }

    pub(crate) fn encoded_len(&self) -> usize {
        RECORD_HEADER_BYTES
            + self.key.len()
            + self.value.map_or(0, Text::len)
            + self.modified_by.map_or(0, Text::len)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "lengths are bounded by their types"
    )]
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let flag = if self.value.is_none() { TOMBSTONE } else { 0 };
        out.put_u16(self.key.len() as u16 | flag);
        out.put_u24(self.value.map_or(0, |value| value.len() as u32));
        out.put_u48(self.sync_count.get());
        out.put_u48(self.modified.get());
        out.put_u48(self.device_modified.get());
        out.put_u16(self.modified_by.map_or(0, |name| name.len() as u16));
        out.put_bytes(self.key.as_bytes());
        out.put_bytes(self.value.map_or(&[], Text::as_bytes));
        out.put_bytes(self.modified_by.map_or(&[], Text::as_bytes));
    }

    /// Reads and checks the record at the front of the input.
    pub(crate) fn decode(input: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let record = Self::decode_shape(input)?;
        if record.key.is_empty()
            || record.key.len() > KEY_BYTES_MAX
            || record.modified_by.map_or(0, Text::len) > MODIFIED_BY_BYTES_MAX
        {
            return Err(Malformed(
                "a record's key or modifier has an impossible length",
            ));
        }
        let texts = [Some(record.key), record.value, record.modified_by];
        for text in texts.into_iter().flatten() {
            std::str::from_utf8(text.as_bytes()).map_err(|_| Malformed("text is not UTF-8"))?;
        }
        Ok(record)
    }

    /// Reads the record at the front of an input that was checked, or will be.
    fn decode_shape(input: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let head: [u8; RECORD_HEADER_BYTES] = input.array()?;
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes[..6].copy_from_slice(&head[at..at + 6]);
            u64::from_le_bytes(bytes)
        };
        let (key_len, value_len) = lengths(&head);
        let by_len = usize::from(u16::from_le_bytes([head[23], head[24]]));
        if value_len.is_none() && head[2..5] != [0; 3] {
            return Err(Malformed("a tombstone has a value"));
        }
        let text = input.bytes(key_len + value_len.unwrap_or(0) + by_len)?;
        let (key, rest) = text.split_at(key_len);
        let (value, by) = rest.split_at(value_len.unwrap_or(0));
        Ok(Self {
            key: Text::believed(key),
            value: value_len.map(|_| Text::believed(value)),
            sync_count: SyncCount::believed(number(5)),
            modified: Timestamp::believed(number(11)),
            modified_by: (by_len > 0).then_some(Text::believed(by)),
            device_modified: Timestamp::believed(number(17)),
        })
    }

    /// Reads the record at the front of checked bytes.
    pub(crate) fn believed(record: &'a [u8]) -> Self {
        Self::decode_shape(&mut Decoder::new(record)).expect("a run was checked when it was made")
    }
}

/// The lengths of key and value, if it has one, of the record at the front of checked bytes.
pub(crate) fn lengths(record: &[u8]) -> (usize, Option<usize>) {
    let key_and_flag = u16::from_le_bytes([record[0], record[1]]);
    let value = u32::from_le_bytes([record[2], record[3], record[4], 0]) as usize;
    let is_live = key_and_flag & TOMBSTONE == 0;
    (
        usize::from(key_and_flag & !TOMBSTONE),
        is_live.then_some(value),
    )
}

/// The bytes of the key of the record at the front of checked bytes.
pub(crate) fn key_bytes(record: &[u8]) -> &[u8] {
    let (length, _) = lengths(record);
    &record[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length]
}

/// The count of the record at the front of checked bytes.
pub(crate) fn sync_count(record: &[u8]) -> SyncCount {
    let mut bytes = [0; 8];
    bytes[..6].copy_from_slice(&record[5..11]);
    SyncCount::believed(u64::from_le_bytes(bytes))
}

/// Records and tombstones in listing order.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Records {
    bytes: Bytes,
    count: usize,
}

impl Records {
    /// Takes bytes that are a run already.
    pub(crate) fn believed(bytes: Bytes, count: usize) -> Self {
        Self { bytes, count }
    }

    /// Checks that the bytes are `count` records in listing order.
    pub(crate) fn decode(bytes: Bytes, count: usize) -> Result<Self, Malformed> {
        let mut input = Decoder::new(&bytes);
        let mut last: Option<(SyncCount, Text<'_>)> = None;
        for _ in 0..count {
            let record = RecordRef::decode(&mut input)?;
            let place = (record.sync_count, record.key);
            if record.sync_count == SyncCount::ZERO || last.is_some_and(|last| last >= place) {
                return Err(Malformed("records are not in order"));
            }
            last = Some(place);
        }
        input.finish()?;
        Ok(Self { bytes, count })
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn iter(&self) -> RecordIter<'_> {
        RecordIter {
            input: Decoder::new(&self.bytes),
            left: self.count,
        }
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Walks a run.
#[derive(Clone, Debug)]
pub(crate) struct RecordIter<'a> {
    input: Decoder<'a>,
    left: usize,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = RecordRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(RecordRef::decode_shape(&mut self.input).expect("a run was checked when it was made"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for RecordIter<'_> {}
