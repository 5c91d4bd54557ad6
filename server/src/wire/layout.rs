//! The answers that most requests get, laid out as JSON by hand.
//!
//! What they are is said by their types in [`sync`](super::sync), and a test compares. Here is only
//! a shorter way to the same bytes: names are copied with what stands around them, text that needs
//! no escape is copied as it is, and times are written without a floating-point number.

use serde::Serialize;

use super::EpochSeconds;
use super::sync::{ListRecordsOutput, Record, UpdateRecordsOutput};

/// Bytes of a record beside its own text: names, three numbers, punctuation.
const RECORD_BYTES: usize = 160;
/// The same of a listing.
const LISTING_BYTES: usize = 320;

/// JSON that grows.
struct Layout(Vec<u8>);

impl<S: AsRef<str>> ListRecordsOutput<S> {
    /// Its JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Layout::new(&self.records, LISTING_BYTES);
        json.records(&self.records);
        json.raw(r#","Count":"#);
        json.value(&self.count);
        json.raw(r#","DatasetSyncCount":"#);
        json.value(&self.dataset_sync_count);
        json.raw(r#","DatasetExists":"#);
        json.flag(self.dataset_exists);
        json.raw(r#","DatasetDeletedAfterRequestedSyncCount":"#);
        json.flag(self.dataset_deleted_after_requested_sync_count);
        json.raw(r#","SyncSessionToken":"#);
        json.text(&self.sync_session_token);
        if let Some(name) = &self.last_modified_by {
            json.raw(r#","LastModifiedBy":"#);
            json.text(name);
        }
        if !self.merged_dataset_names.is_empty() {
            json.raw(r#","MergedDatasetNames":"#);
            json.value(&self.merged_dataset_names);
        }
        if let Some(token) = &self.next_token {
            json.raw(r#","NextToken":"#);
            json.text(token);
        }
        json.raw("}");
        json.0
    }
}

impl<S: AsRef<str>> UpdateRecordsOutput<S> {
    /// Its JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Layout::new(&self.records, 0);
        json.records(&self.records);
        json.raw("}");
        json.0
    }
}

impl Layout {
    /// With room for records and so many bytes beside.
    fn new<S: AsRef<str>>(records: &[Record<S>], others: usize) -> Self {
        let texts = records.iter().map(|record| {
            let value = record
                .value
                .as_ref()
                .map_or(0, |value| value.as_ref().len());
            let names = record.key.as_ref().len() + record.last_modified_by.as_ref().len();
            RECORD_BYTES + names + value
        });
        Self(Vec::with_capacity(others + texts.sum::<usize>()))
    }

    /// `{"Records":[...]`, where more members may follow.
    fn records<S: AsRef<str>>(&mut self, records: &[Record<S>]) {
        self.raw(r#"{"Records":["#);
        for (at, record) in records.iter().enumerate() {
            self.raw(if at == 0 { r#"{"Key":"# } else { r#",{"Key":"# });
            self.text(record.key.as_ref());
            if let Some(value) = &record.value {
                self.raw(r#","Value":"#);
                self.text(value.as_ref());
            }
            self.raw(r#","SyncCount":"#);
            self.value(&record.sync_count);
            self.raw(r#","LastModifiedDate":"#);
            self.time(record.last_modified_date);
            self.raw(r#","LastModifiedBy":"#);
            self.text(record.last_modified_by.as_ref());
            self.raw(r#","DeviceLastModifiedDate":"#);
            self.time(record.device_last_modified_date);
            self.raw("}");
        }
        self.raw("]");
    }

    fn raw(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.raw(if flag { "true" } else { "false" });
    }

    fn text(&mut self, text: &str) {
        if !is_plain(text) {
            return self.value(text);
        }
        self.raw("\"");
        self.raw(text);
        self.raw("\"");
    }

    /// Seconds with milliseconds as their fraction, at least one digit and no needless zero.
    fn time(&mut self, time: EpochSeconds) {
        self.value(&(time.ms / 1000));
        let digit = |place: u64| b'0' + u8::try_from(time.ms / place % 10).unwrap_or(0);
        let fraction = [b'.', digit(100), digit(10), digit(1)];
        let needless = fraction[2..]
            .iter()
            .rev()
            .take_while(|digit| **digit == b'0');
        let length = fraction.len() - needless.count();
        self.0.extend_from_slice(&fraction[..length]);
    }

    /// Anything else, as its type says.
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) {
        serde_json::to_writer(&mut self.0, value)
            .expect("a Vec takes everything, and text and numbers have a form");
    }
}

/// Whether nothing in a text needs an escape. It has no early end, so that the compiler compares
/// many bytes at a time.
fn is_plain(text: &str) -> bool {
    let escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    !text
        .bytes()
        .fold(false, |found, byte| found | escaped(byte))
}

#[cfg(test)]
mod tests {
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;

    fn time() -> impl Strategy<Value = EpochSeconds> {
        // Round ones too: their zeros are left out.
        let rounded = (0_u64..1 << 48, prop::sample::select(vec![1, 10, 100, 1000]));
        rounded.prop_map(|(ms, unit)| EpochSeconds::from_ms(ms / unit * unit))
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~]{0,40}",
            any::<String>(),
            "[\u{0}-\u{1f}\"\\\\\u{7f}]{1,4}"
        ]
    }

    fn record() -> impl Strategy<Value = Record> {
        let texts = (text(), of(text()), text());
        (texts, any::<u64>(), time(), time()).prop_map(|(texts, sync_count, modified, device)| {
            Record {
                key: texts.0,
                value: texts.1,
                sync_count,
                last_modified_date: modified,
                last_modified_by: texts.2,
                device_last_modified_date: device,
            }
        })
    }

    prop_compose! {
        fn listing()(
            records in prop::collection::vec(record(), 0..4),
            counts in (any::<usize>(), any::<u64>()),
            flags in (any::<bool>(), any::<bool>()),
            token in text(),
            names in prop::collection::vec(text(), 0..3),
            others in (of(text()), of(text())),
        ) -> ListRecordsOutput {
            ListRecordsOutput {
                records,
                count: counts.0,
                dataset_sync_count: counts.1,
                dataset_exists: flags.0,
                dataset_deleted_after_requested_sync_count: flags.1,
                sync_session_token: token,
                last_modified_by: others.0,
                merged_dataset_names: names,
                next_token: others.1,
            }
        }
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_types(listing in listing()) {
            prop_assert_eq!(
                String::from_utf8(listing.to_json()).unwrap(),
                serde_json::to_string(&listing).unwrap()
            );
            let update = UpdateRecordsOutput { records: listing.records };
            prop_assert_eq!(
                String::from_utf8(update.to_json()).unwrap(),
                serde_json::to_string(&update).unwrap()
            );
        }
    }

    #[test]
    fn every_fraction_of_a_second_is_written_as_a_number_is() {
        for ms in (0..2000).chain((1 << 48) - 1000..1 << 48) {
            let mut json = Layout(Vec::new());
            json.time(EpochSeconds::from_ms(ms));
            let number = serde_json::to_vec(&EpochSeconds::from_ms(ms)).unwrap();
            assert_eq!(json.0, number, "{ms}");
        }
    }
}
