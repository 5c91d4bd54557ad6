//! One record, with a life of its own or as it lies on disk. Layout in `docs/FORMAT.md`.

use crate::codec::{self, Decoder, Encode, Malformed};
use crate::limits::{KEY_BYTES_MAX, MODIFIED_BY_BYTES_MAX, RECORD_HEADER_BYTES};
use crate::types::{ModifiedBy, RecordKey, RecordValue, SyncCount, Text, Timestamp};

/// Set in the key length of a record without a value.
const TOMBSTONE: u16 = 1 << 15;

/// A record, or the tombstone of one.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let listed = engine.reader().list(&settings, &Default::default())?;
/// let theme = listed.records().next().map(|record| record.to_record());
/// drop(listed);
///
/// let theme = theme.ok_or("it has records")?;
/// assert_eq!(theme.key.as_str(), "theme");
/// assert_eq!(theme.value.as_ref().map(|value| value.as_str()), Some("dark"));
/// assert_eq!(theme.sync_count.get(), 1);
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

impl<'a> From<&'a Record> for RecordRef<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            key: record.key.as_str().into(),
            value: record.value.as_ref().map(|value| value.as_str().into()),
            sync_count: record.sync_count,
            modified: record.modified,
            modified_by: record.modified_by.text(),
            device_modified: record.device_modified,
        }
    }
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
        let mut header = [0; RECORD_HEADER_BYTES];
        let mut fields = &mut header[..];
        fields.put_u16(self.key.len() as u16 | flag);
        fields.put_u24(self.value.map_or(0, |value| value.len() as u32));
        fields.put_u48(self.sync_count.get());
        fields.put_u48(self.modified.get());
        fields.put_u48(self.device_modified.get());
        fields.put_u16(self.modified_by.map_or(0, |name| name.len() as u16));
        out.put_bytes(&header);
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
    pub(crate) fn decode_shape(input: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let head: [u8; RECORD_HEADER_BYTES] = input.array()?;
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
            sync_count: SyncCount::believed(number(&head, 5)),
            modified: Timestamp::believed(number(&head, 11)),
            modified_by: (by_len > 0).then_some(Text::believed(by)),
            device_modified: Timestamp::believed(number(&head, 17)),
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

/// How many bytes the record at the front of checked bytes takes.
pub(crate) fn encoded_len(record: &[u8]) -> usize {
    let (key, value) = lengths(record);
    let modified_by = u16::from_le_bytes([record[23], record[24]]);
    RECORD_HEADER_BYTES + key + value.unwrap_or(0) + usize::from(modified_by)
}

/// The bytes of the key of the record at the front of checked bytes.
pub(crate) fn key_bytes(record: &[u8]) -> &[u8] {
    let (length, _) = lengths(record);
    &record[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length]
}

/// The count of the record at the front of checked bytes.
pub(crate) fn sync_count(record: &[u8]) -> SyncCount {
    SyncCount::believed(number(record, 5))
}

/// The count or time at a place of a record's header.
fn number(header: &[u8], at: usize) -> u64 {
    let (bytes, _) = header[at..]
        .split_first_chunk()
        .expect("a header is longer");
    codec::u48(*bytes)
}
