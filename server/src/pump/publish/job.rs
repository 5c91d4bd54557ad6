//! A bulk publish as it is stored: what it wrote last, and how it ended.

use std::sync::Arc;

use syncline_engine::Error as EngineError;
use syncline_engine::{Expected, MetadataKey, Proposal, Refusal, Sequence, Wish};

use super::ended;
use super::walk::Batch;
use crate::site::Site;
use crate::site::stored::{
    self, BulkPublishRecord, BulkPublishStatus, ConfigurationRecord, PublishingRecord,
    StreamCursorRecord, StreamRecord,
};

/// One of them.
pub(super) struct Job {
    site: Arc<Site>,
    pool: stored::Id,
    publishing: PublishingRecord,
    version: Sequence,
    bulk: BulkPublishRecord,
    bulk_version: Sequence,
}

/// Why a step was not made.
#[derive(Debug)]
pub(super) enum Lost {
    /// The pool or the bulk publish is gone.
    Gone,
    /// Something changed meanwhile; what is there now tells more.
    Raced,
    /// It cannot succeed any more, and why.
    Failed(String),
    /// The store does not do it now.
    Trouble(String),
}

impl Job {
    /// The bulk publish of a pool that is under way, if one is.
    pub(super) async fn load(site: &Arc<Site>, pool: &stored::Id) -> Result<Option<Self>, Lost> {
        let trouble = |error: crate::error::ApiError| Lost::Trouble(error.message);
        let key = stored::publishing_key(pool.uuid);
        let publishing = site.load::<PublishingRecord>(key).await.map_err(trouble)?;
        let key = stored::bulk_publish_key(pool.uuid);
        let bulk = site.load::<BulkPublishRecord>(key).await.map_err(trouble)?;
        let (Some((publishing, version)), Some((bulk, bulk_version))) = (publishing, bulk) else {
            return Ok(None);
        };
        let job = Self {
            site: Arc::clone(site),
            pool: pool.clone(),
            publishing,
            version,
            bulk,
            bulk_version,
        };
        if job.bulk.status != BulkPublishStatus::InProgress {
            return Ok(None);
        }
        job.say("going on with the bulk publish");
        Ok(Some(job))
    }

    pub(super) fn site(&self) -> &Arc<Site> {
        &self.site
    }

    pub(super) fn pool(&self) -> &stored::Id {
        &self.pool
    }

    /// The stream that it is for.
    pub(super) fn stream(&self) -> &str {
        &self.publishing.stream
    }

    /// The dataset that was written last.
    pub(super) fn after(&self) -> Option<(String, String)> {
        self.publishing.after.clone()
    }

    /// Whether every dataset is written.
    pub(super) fn is_written(&self) -> bool {
        self.publishing.written.is_some()
    }

    /// Whether the sink has everything that was written.
    pub(super) fn is_reached(&self, cursor: &StreamCursorRecord) -> bool {
        let publishing = &self.publishing;
        // A stream that was enabled anew since may have begun behind what was written.
        cursor.stream == publishing.stream
            && cursor.enabled_ms == publishing.enabled_ms
            && cursor.store == publishing.store
            && cursor.sequence >= publishing.written.unwrap_or(u64::MAX)
    }

    /// Insists that the pool still streams to where it did when this began.
    pub(super) async fn check_stream(&self) -> Result<(), Lost> {
        let key = stored::configuration_key(self.pool.uuid);
        let found = self.site.load::<ConfigurationRecord>(key).await;
        let found = found.map_err(|error| Lost::Trouble(error.message))?;
        let record = found.map(|(record, _)| record).unwrap_or_default();
        let name = record.streaming().and_then(|streams| streams.name.clone());
        if name.as_deref() == Some(self.stream()) {
            return self.check_beginning().await;
        }
        let reason = record.streams.and_then(|streams| streams.disabled_reason);
        Err(Lost::Failed(match (name, reason) {
            (Some(other), _) => format!(
                "The stream was changed from {:?} to {other:?} meanwhile; some datasets were sent \
                 to the first",
                self.stream()
            ),
            (None, Some(reason)) => format!("Streaming was disabled meanwhile: {reason}"),
            (None, None) => "Streaming was disabled meanwhile".to_owned(),
        }))
    }

    /// Insists that it is still the stream that was enabled then, in the store of then.
    async fn check_beginning(&self) -> Result<(), Lost> {
        let key = stored::stream_key(self.pool.uuid);
        let found = self.site.load::<StreamRecord>(key).await;
        let found = found.map_err(|error| Lost::Trouble(error.message))?;
        let enabled_ms = found.map_or(0, |(record, _)| record.enabled_ms);
        let store = self.site.store.engine().head().store;
        if enabled_ms != self.publishing.enabled_ms {
            return Err(Lost::Failed(
                "Streaming was disabled and enabled again meanwhile".to_owned(),
            ));
        }
        if store.into_bytes() != self.publishing.store {
            return Err(Lost::Failed(
                "The store was restored or imported meanwhile".to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether nobody else has moved it.
    pub(super) async fn is_current(&self) -> Result<bool, Lost> {
        let key = stored::publishing_key(self.pool.uuid);
        let found = self
            .site
            .store
            .engine()
            .resident_reader()
            .metadata_version(&key);
        Ok(found == Some(self.version))
    }

    /// Writes datasets once more, and that they were; without any, that all are.
    pub(super) async fn write(&mut self, batch: Batch) -> Result<(), Lost> {
        let number = batch.datasets.len() as u64;
        let mut publishing = self.publishing.clone();
        publishing.datasets += number;
        publishing.bytes += batch.bytes;
        match batch.datasets.last() {
            Some(last) => {
                publishing.after = Some((last.identity.to_string(), last.name.to_string()));
            }
            // The commit that moved it last is the one that wrote the last dataset. Without any,
            // there is nothing that the sink could get.
            None if publishing.datasets == 0 => publishing.written = Some(0),
            None => publishing.written = Some(self.version.get()),
        }
        let key = stored::publishing_key(self.pool.uuid);
        let republish = |dataset| Wish::Republish { dataset };
        let mut wishes: Vec<Wish> = batch.datasets.into_iter().map(republish).collect();
        wishes.push(put(key, &publishing, self.version)?);
        let committed = self.commit(wishes).await?;
        self.version = committed;
        self.publishing = publishing;
        self.site.outflow.counters.republished.inc_by(number);
        Ok(())
    }

    /// Stores how it ended, and that it is under way no more.
    pub(super) async fn end(&mut self, failure: Option<String>) -> Result<(), Lost> {
        match &failure {
            None => self.say("the bulk publish succeeded"),
            Some(why) => tracing::error!(pool = %self.pool, "the bulk publish failed: {why}"),
        }
        let now_ms = self.site.now().get();
        let bulk = ended(&self.bulk, failure, now_ms);
        let key = stored::bulk_publish_key(self.pool.uuid);
        let wishes = vec![
            put(key, &bulk, self.bulk_version)?,
            Wish::DeleteMetadata {
                key: stored::publishing_key(self.pool.uuid),
                expected: Expected::Version(self.version),
            },
        ];
        self.commit(wishes).await.map(|_| ())
    }

    /// Tells the log how far it is.
    pub(super) fn say(&self, what: &str) {
        let PublishingRecord {
            datasets, bytes, ..
        } = self.publishing;
        tracing::info!(pool = %self.pool, stream = self.stream(), datasets, bytes, "{what}");
    }

    async fn commit(&self, wishes: Vec<Wish>) -> Result<Sequence, Lost> {
        let pool_key = stored::pool_key(&self.pool);
        let proposal = Proposal {
            expect: vec![(pool_key.clone(), Expected::Something)],
            wishes,
            ..Proposal::default()
        };
        match self.site.store.commit(proposal).await {
            Ok(receipt) => Ok(receipt.sequence),
            Err(EngineError::Refusal(Refusal::Unexpected { key, .. })) if key == pool_key => {
                Err(Lost::Gone)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn put<R: bincode::Encode>(key: MetadataKey, record: &R, version: Sequence) -> Result<Wish, Lost> {
    let value = stored::encode(record);
    let value = value.ok_or_else(|| Lost::Trouble("a record is too large to store".to_owned()))?;
    Ok(Wish::PutMetadata {
        key,
        value,
        expected: Expected::Version(version),
    })
}
