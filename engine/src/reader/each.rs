//! Listings as iterators: page after page is fetched as it is needed, so that memory stays bounded
//! and no lock is held in between. What comes to be or goes meanwhile may be seen or not; what is
//! there all the time is seen once.

use super::{IdentityUsage, Metadata, PoolUsage, Reader};
use crate::error::Error;
use crate::proposal::DatasetInfo;
use crate::refill::refilled;
use crate::types::{IdentityId, PoolId};

/// How many are fetched at a time.
const PAGE: usize = 256;

impl<'a> Reader<'a> {
    /// All pools in order.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let engine = syncline_engine::Engine::open(directory.path(), Default::default())?;
    /// let bytes: u64 = engine.reader().each_pool().map(|pool| pool.bytes).sum();
    /// assert_eq!(bytes, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn each_pool(self) -> impl Iterator<Item = PoolUsage> + 'a {
        let fetch = move |last: Option<&PoolUsage>| self.pools(last.map(|last| &last.pool), PAGE);
        paged(fetch)
    }

    /// All identities of a pool in order.
    pub fn each_identity(self, pool: PoolId) -> impl Iterator<Item = IdentityUsage> + 'a {
        paged(move |last: Option<&IdentityUsage>| {
            self.identities(&pool, last.map(|last| &last.identity), PAGE)
        })
    }

    /// All datasets of an identity that exist, ordered by name.
    ///
    /// Each may be an error of reading, after which nothing follows.
    pub fn each_dataset(
        self,
        pool: PoolId,
        identity: IdentityId,
    ) -> impl Iterator<Item = Result<DatasetInfo, Error>> + 'a {
        try_paged(move |last: Option<&DatasetInfo>| {
            self.datasets(&pool, &identity, last.map(|last| &last.name), PAGE)
        })
    }

    /// All metadata whose key begins with `prefix`, ordered by key.
    ///
    /// Each may be an error of reading, after which nothing follows.
    pub fn each_metadata(
        self,
        prefix: impl Into<Vec<u8>>,
    ) -> impl Iterator<Item = Result<Metadata, Error>> + 'a {
        let prefix = prefix.into();
        try_paged(move |last: Option<&Metadata>| {
            self.scan(&prefix, last.map(|last| &last.key), PAGE)
        })
    }
}

fn paged<T: Clone>(fetch: impl Fn(Option<&T>) -> Vec<T>) -> impl Iterator<Item = T> {
    let fetch = move |last: Option<&T>| Ok::<_, std::convert::Infallible>(fetch(last));
    try_paged(fetch).map(|one| match one {
        Ok(one) => one,
    })
}

fn try_paged<T: Clone, E>(
    fetch: impl Fn(Option<&T>) -> Result<Vec<T>, E>,
) -> impl Iterator<Item = Result<T, E>> {
    let mut last: Option<T> = None;
    refilled(move || {
        let page = fetch(last.as_ref())?;
        last = page.last().cloned();
        Ok(page)
    })
}
