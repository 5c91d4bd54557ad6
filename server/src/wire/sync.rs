//! The shapes of Cognito Sync that this version answers.
//!
//! Members without `skip_serializing_if` are always sent: old clients read them unguarded. A
//! `NextToken` on the last page must be absent, since clients page on while it is not null.

use serde::{Deserialize, Serialize};

use super::{EpochSeconds, Object};

/// Body of `UpdateRecords`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateRecordsInput {
    /// The device that changed the records.
    pub device_id: Option<String>,
    /// What to change: at most as many records and tombstones as a dataset can ever have.
    #[serde(
        default,
        deserialize_with = "crate::wire::json::at_most::<69_096, _, _>"
    )]
    pub record_patches: Option<Vec<Object<RecordPatch>>>,
    /// From the listing before.
    pub sync_session_token: Option<String>,
}

/// One wish about one record.
#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RecordPatch {
    /// `replace` or `remove`.
    pub op: Option<String>,
    /// Which record.
    pub key: Option<String>,
    /// Its new value; ignored on remove, where some clients send an empty one.
    pub value: Option<String>,
    /// The count that the client saw.
    pub sync_count: Option<i64>,
    /// The device's time of the change.
    pub device_last_modified_date: Option<EpochSeconds>,
}

/// A record, or the tombstone of one. `S`: its own text, or text that lies elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Record<S = String> {
    /// Its key.
    pub key: S,
    /// Absent: removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<S>,
    /// The dataset's count at the commit that wrote it.
    pub sync_count: u64,
    /// When that was.
    pub last_modified_date: EpochSeconds,
    /// Identity, device or account.
    pub last_modified_by: S,
    /// The device's own time.
    pub device_last_modified_date: EpochSeconds,
}

impl Record {
    /// The same with the text of this one.
    #[must_use]
    pub fn borrowed(&self) -> Record<&str> {
        Record {
            key: &self.key,
            value: self.value.as_deref(),
            sync_count: self.sync_count,
            last_modified_date: self.last_modified_date,
            last_modified_by: &self.last_modified_by,
            device_last_modified_date: self.device_last_modified_date,
        }
    }
}

impl Record<&str> {
    /// The same with its own text.
    #[must_use]
    pub fn to_owned(&self) -> Record {
        Record {
            key: self.key.to_owned(),
            value: self.value.map(str::to_owned),
            sync_count: self.sync_count,
            last_modified_date: self.last_modified_date,
            last_modified_by: self.last_modified_by.to_owned(),
            device_last_modified_date: self.device_last_modified_date,
        }
    }
}

/// Answer of `UpdateRecords`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateRecordsOutput<S = String> {
    /// What was written.
    pub records: Vec<Record<S>>,
}

/// Answer of `ListRecords`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListRecordsOutput<S = String> {
    /// Records and tombstones.
    pub records: Vec<Record<S>>,
    /// How many of them are in this page.
    pub count: usize,
    /// The dataset's counter, as of the first page.
    pub dataset_sync_count: u64,
    /// Whether there is such a dataset now.
    pub dataset_exists: bool,
    /// The caller must drop its copy.
    pub dataset_deleted_after_requested_sync_count: bool,
    /// For the update that follows.
    pub sync_session_token: String,
    /// Who changed the dataset last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified_by: Option<String>,
    /// Datasets of other identities that were merged under this name and not deleted since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged_dataset_names: Vec<String>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A dataset without its records.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Dataset {
    /// Whose it is.
    pub identity_id: String,
    /// Its name.
    pub dataset_name: String,
    /// When it came to be.
    pub creation_date: EpochSeconds,
    /// When it was last written.
    pub last_modified_date: EpochSeconds,
    /// By whom.
    pub last_modified_by: String,
    /// Bytes of keys and values.
    pub data_storage: u64,
    /// Records, without tombstones.
    pub num_records: u64,
}

/// Answer of `DescribeDataset` and `DeleteDataset`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DatasetOutput {
    /// The dataset; of a deletion, as it was.
    pub dataset: Dataset,
}

/// Answer of `ListDatasets`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListDatasetsOutput {
    /// In order of their names.
    pub datasets: Vec<Dataset>,
    /// How many of them are in this page.
    pub count: usize,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Answer of `DescribeIdentityUsage`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeIdentityUsageOutput {
    /// The usage.
    pub identity_usage: IdentityUsage,
}

/// What an identity stores.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdentityUsage {
    /// The identity.
    pub identity_id: String,
    /// Its pool.
    pub identity_pool_id: String,
    /// When it wrote last, or else came to be.
    pub last_modified_date: EpochSeconds,
    /// Datasets that exist.
    pub dataset_count: u64,
    /// Bytes of keys and values.
    pub data_storage: u64,
}

/// Answer of `DescribeIdentityPoolUsage`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeIdentityPoolUsageOutput {
    /// The usage.
    pub identity_pool_usage: IdentityPoolUsage,
}

/// What a pool stores.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdentityPoolUsage {
    /// The pool.
    pub identity_pool_id: String,
    /// Sync sessions ever opened.
    pub sync_sessions_count: u64,
    /// Bytes of keys and values.
    pub data_storage: u64,
    /// When it was last written, or else came to be.
    pub last_modified_date: EpochSeconds,
}

/// Answer of `ListIdentityPoolUsage`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListIdentityPoolUsageOutput {
    /// In order of their ids.
    pub identity_pool_usages: Vec<IdentityPoolUsage>,
    /// How many a page has at most.
    pub max_results: usize,
    /// How many of them are in this page.
    pub count: usize,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    #[test]
    fn a_patch_list_is_read_as_clients_send_it() {
        let input: UpdateRecordsInput = json::read(
            br#"{"SyncSessionToken":"t","RecordPatches":[
                {"Op":"replace","Key":"k","Value":"v","SyncCount":3,
                 "DeviceLastModifiedDate":1700574873.059},
                {"Op":"remove","Key":"gone","Value":"","SyncCount":0}]}"#,
        )
        .unwrap();
        let patches = input.record_patches.unwrap();
        assert_eq!(
            patches[0].0.device_last_modified_date.unwrap().ms,
            1_700_574_873_059
        );
        assert_eq!(patches[1].0.value.as_deref(), Some(""));
        assert_eq!(input.device_id, None);
    }

    #[test]
    fn an_empty_listing_has_all_that_clients_read_unguarded() {
        let output: ListRecordsOutput = ListRecordsOutput {
            records: Vec::new(),
            count: 0,
            dataset_sync_count: 0,
            dataset_exists: false,
            dataset_deleted_after_requested_sync_count: false,
            sync_session_token: "t".to_owned(),
            last_modified_by: None,
            merged_dataset_names: Vec::new(),
            next_token: None,
        };
        assert_eq!(
            serde_json::to_string(&output).unwrap(),
            r#"{"Records":[],"Count":0,"DatasetSyncCount":0,"DatasetExists":false,"#.to_owned()
                + r#""DatasetDeletedAfterRequestedSyncCount":false,"SyncSessionToken":"t"}"#
        );
    }

    #[test]
    fn a_tombstone_has_no_value_and_an_empty_value_is_one() {
        let mut record = Record {
            key: "k".to_owned(),
            value: None,
            sync_count: 2,
            last_modified_date: EpochSeconds::from_ms(1500),
            last_modified_by: "me".to_owned(),
            device_last_modified_date: EpochSeconds::from_ms(1000),
        };
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"Key":"k","SyncCount":2,"LastModifiedDate":1.5,"LastModifiedBy":"me","#.to_owned()
                + r#""DeviceLastModifiedDate":1.0}"#
        );
        record.value = Some(String::new());
        assert!(
            serde_json::to_string(&record)
                .unwrap()
                .contains(r#""Value":"""#)
        );
    }
}
