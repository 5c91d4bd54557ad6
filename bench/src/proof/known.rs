//! What a client knows of one dataset: the rules of counts, tombstones and deletion in a few lines,
//! and what a listing must show by them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::failure::Result;

/// A dataset as its only writer knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub sync_count: u64,
    /// The count of the last deletion.
    floor: u64,
    pub exists: bool,
    cells: BTreeMap<String, Cell>,
}

/// A record, or the tombstone of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    value: Option<String>,
    sync_count: u64,
}

/// What a record shall be: a value, or removed.
#[derive(Clone, Debug)]
pub struct Patch {
    pub key: String,
    pub value: Option<String>,
}

/// A record of a listing: key, value or tombstone, count.
type Line = (String, Option<String>, u64);

/// An answer of ListRecords, without times.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing {
    pub exists: bool,
    pub sync_count: u64,
    /// The dataset was deleted after the count that was asked for.
    deleted_since: bool,
    lines: Vec<Line>,
}

impl Known {
    /// The count that a patch of this record must carry.
    pub fn count_of(&self, key: &str) -> u64 {
        self.cells.get(key).map_or(0, |cell| cell.sync_count)
    }

    /// Whether there is such a record that is not removed.
    pub fn is_live(&self, key: &str) -> bool {
        self.cells.get(key).is_some_and(|cell| cell.value.is_some())
    }

    /// The dataset after an update.
    pub fn updated(&self, patches: &[Patch]) -> Self {
        let mut after = self.clone();
        after.sync_count += 1;
        after.exists = true;
        for patch in patches {
            let (value, sync_count) = (patch.value.clone(), after.sync_count);
            after
                .cells
                .insert(patch.key.clone(), Cell { value, sync_count });
        }
        after
    }

    /// The dataset after its deletion: only its count goes on.
    pub fn deleted(&self) -> Self {
        Self {
            sync_count: self.sync_count + 1,
            floor: self.sync_count + 1,
            exists: false,
            cells: BTreeMap::new(),
        }
    }

    /// Bytes of keys and values that are not removed.
    pub fn live_bytes(&self) -> u64 {
        let live = self.cells.iter().filter_map(|(key, cell)| {
            let value = cell.value.as_ref()?;
            Some((key.len() + value.len()) as u64)
        });
        live.sum()
    }

    /// Records that are not removed.
    pub fn live_records(&self) -> u64 {
        self.cells
            .values()
            .filter(|cell| cell.value.is_some())
            .count() as u64
    }

    /// What ListRecords since a count must answer.
    pub fn listing(&self, since: u64) -> Listing {
        let deleted_since = since > 0 && since < self.floor;
        let from = if deleted_since { 0 } else { since };
        let mut lines: Vec<Line> = self
            .cells
            .iter()
            .filter(|(_, cell)| cell.sync_count > from)
            .map(|(key, cell)| (key.clone(), cell.value.clone(), cell.sync_count))
            .collect();
        lines.sort_by(|a, b| (a.2, &a.0).cmp(&(b.2, &b.0)));
        Listing {
            exists: self.exists,
            sync_count: self.sync_count,
            deleted_since,
            lines,
        }
    }
}

impl Listing {
    /// Reads an answer of ListRecords.
    pub fn read(answer: &Value) -> Result<Self> {
        let lines = answer["Records"].as_array().ok_or("no Records")?.iter();
        let line = |record: &Value| {
            let key = record["Key"].as_str()?.to_owned();
            let value = record["Value"].as_str().map(str::to_owned);
            Some((key, value, record["SyncCount"].as_u64()?))
        };
        Ok(Self {
            exists: answer["DatasetExists"]
                .as_bool()
                .ok_or("no DatasetExists")?,
            sync_count: answer["DatasetSyncCount"].as_u64().ok_or("no count")?,
            deleted_since: answer["DatasetDeletedAfterRequestedSyncCount"]
                .as_bool()
                .ok_or("not told whether it was deleted")?,
            lines: lines
                .map(line)
                .collect::<Option<_>>()
                .ok_or("a record lacks a member")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(key: &str, value: Option<&str>) -> Patch {
        Patch {
            key: key.to_owned(),
            value: value.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_known_follows_the_rules() {
        let first = Known::default().updated(&[patch("b", Some("22")), patch("a", Some("1"))]);
        let second = first.updated(&[patch("b", None)]);
        assert_eq!((second.live_records(), second.live_bytes()), (1, 2));
        assert_eq!((second.count_of("b"), second.count_of("c")), (2, 0));
        assert!(!second.is_live("b") && second.is_live("a"));
        let keys = |listing: Listing| listing.lines.into_iter().map(|line| line.0);
        assert_eq!(keys(second.listing(0)).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(keys(second.listing(1)).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn who_is_behind_a_deletion_is_told() {
        let gone = Known::default().updated(&[patch("a", Some("1"))]).deleted();
        let again = gone.updated(&[patch("c", Some("3"))]);
        assert_eq!(
            (gone.exists, gone.sync_count, again.sync_count),
            (false, 2, 3)
        );
        assert!(again.listing(1).deleted_since && again.listing(1).lines.len() == 1);
        assert!(!again.listing(0).deleted_since && !again.listing(2).deleted_since);
    }

    #[test]
    fn a_listing_that_differs_is_told_apart() {
        let known = Known::default().updated(&[patch("a", Some("1"))]);
        let answer = |value: &str| {
            serde_json::json!({
                "DatasetExists": true, "DatasetSyncCount": 1,
                "DatasetDeletedAfterRequestedSyncCount": false,
                "Records": [{ "Key": "a", "Value": value, "SyncCount": 1 }],
            })
        };
        assert_eq!(Listing::read(&answer("1")).unwrap(), known.listing(0));
        assert_ne!(Listing::read(&answer("2")).unwrap(), known.listing(0));
    }
}
