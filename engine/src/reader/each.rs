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
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// let identities = engine.reader().each_identity(settings.pool);
    /// assert_eq!(identities.map(|usage| usage.datasets).sum::<u64>(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn each_identity(self, pool: PoolId) -> impl Iterator<Item = IdentityUsage> + 'a {
        paged(move |last: Option<&IdentityUsage>| {
            self.identities(&pool, last.map(|last| &last.identity), PAGE)
        })
    }

    /// All datasets of an identity that exist, ordered by name.
    ///
    /// Each may be an error of reading, after which nothing follows.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// for dataset in engine.reader().each_dataset(settings.pool, settings.identity) {
    ///     assert_eq!(dataset?.name, settings.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// ```
    /// # use syncline_engine::{Expected, MetadataValue, Proposal, Wish};
    /// use syncline_engine::MetadataKey;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, _settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// # let put = |key: &[u8]| -> Result<_, syncline_engine::Invalid> {
    /// #     let (key, value) = (MetadataKey::new(key)?, MetadataValue::new("used")?);
    /// #     Ok(Wish::PutMetadata { key, value, expected: Expected::Nothing })
    /// # };
    /// # let wishes = vec![put(b"seen/1")?, put(b"token/1")?, put(b"token/2")?];
    /// # engine.commit(Proposal { wishes, ..Proposal::default() })?;
    /// // There are the keys seen/1, token/1 and token/2.
    ///
    /// let mut keys = Vec::new();
    /// for token in engine.reader().each_metadata("token/") {
    ///     keys.push(token?.key);
    /// }
    /// assert_eq!(keys, [MetadataKey::new(*b"token/1")?, MetadataKey::new(*b"token/2")?]);
    /// # Ok(())
    /// # }
    /// ```
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
