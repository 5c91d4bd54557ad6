//! The datasets of a pool in a stable order, some at a time.

use syncline_engine::{DatasetId, DatasetName, Error, IdentityId, PoolId, Reader};

use super::job::Lost;
use crate::error::Chain;
use crate::site::{Site, stored};

/// Most datasets in one commit, and bytes of their records unless a single one has more; fewer at a
/// low rate, of which a commit has half a second's.
const DATASETS: usize = 64;
const BYTES: u64 = 1 << 20;
/// Identities that are looked at in one go; few have nothing.
const IDENTITIES: usize = 256;

/// How much one commit may write.
#[derive(Clone, Copy)]
struct Bounds {
    datasets: usize,
    bytes: u64,
}

/// What one commit writes; nothing: there is no more.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) datasets: Vec<DatasetId>,
    /// Bytes of keys and values.
    pub(super) bytes: u64,
}

impl Batch {
    /// The next datasets behind the one that was written last; only one, if that is wanted.
    pub(super) async fn next(
        site: &Site,
        pool: &stored::Id,
        after: Option<(String, String)>,
        single: bool,
    ) -> Result<Self, Lost> {
        let wrong = |error: syncline_engine::Invalid| Lost::Trouble(error.to_string());
        let pool = PoolId::parse(&pool.to_string()).map_err(wrong)?;
        let after = match after {
            None => None,
            Some((identity, name)) => {
                let identity = IdentityId::parse(&identity).map_err(wrong)?;
                Some((identity, DatasetName::parse(&name).map_err(wrong)?))
            }
        };
        let bytes = match site.config.streaming.bulk_publish_bytes_per_second {
            0 => BYTES,
            rate => (rate / 2).min(BYTES),
        };
        let bounds = Bounds {
            datasets: if single { 1 } else { DATASETS },
            bytes,
        };
        let found = site
            .store
            .blocking(move |engine| walk(&engine.reader(), &pool, after.as_ref(), bounds));
        found
            .await
            .map_err(|error| Lost::Trouble(Chain(&error).to_string()))
    }
}

fn walk(
    reader: &Reader<'_>,
    pool: &PoolId,
    after: Option<&(IdentityId, DatasetName)>,
    bounds: Bounds,
) -> Result<Batch, Error> {
    let mut batch = Batch::default();
    if let Some((identity, name)) = after {
        let of = (pool, identity);
        if fill(reader, of, Some(name), bounds, &mut batch)? {
            return Ok(batch);
        }
    }
    let mut last = after.map(|(identity, _)| *identity);
    loop {
        let identities = reader.identities(pool, last.as_ref(), IDENTITIES);
        let Some(end) = identities.last() else {
            return Ok(batch);
        };
        last = Some(end.identity);
        for found in &identities {
            if fill(reader, (pool, &found.identity), None, bounds, &mut batch)? {
                return Ok(batch);
            }
        }
    }
}

/// Adds datasets of an identity; true if the batch is full.
fn fill(
    reader: &Reader<'_>,
    (pool, identity): (&PoolId, &IdentityId),
    after: Option<&DatasetName>,
    bounds: Bounds,
    batch: &mut Batch,
) -> Result<bool, Error> {
    let room = bounds.datasets - batch.datasets.len();
    for info in reader.datasets(pool, identity, after, room)? {
        if batch.bytes > 0 && batch.bytes + info.bytes > bounds.bytes {
            return Ok(true);
        }
        batch.bytes += info.bytes;
        batch.datasets.push(DatasetId {
            pool: *pool,
            identity: *identity,
            name: info.name,
        });
    }
    Ok(batch.datasets.len() >= bounds.datasets || batch.bytes >= bounds.bytes)
}
