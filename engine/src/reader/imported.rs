//! Whether an import has been done before.

use super::Reader;
use crate::proposal::Wish;

impl Reader<'_> {
    /// Whether all that a [`Wish::ImportPool`] or [`Wish::ImportIdentity`] tells is known already,
    /// so that it would change nothing; false of other wishes. Never reads the disk.
    ///
    /// ```
    /// use syncline_engine::{Exported, Scope, Wish};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, _) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// for told in engine.export(Scope::All)? {
    ///     if let Exported::Pool { pool, modified } = told? {
    ///         let wish = Wish::ImportPool { pool, modified };
    ///         assert!(engine.reader().is_imported(&wish));
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_imported(&self, wish: &Wish) -> bool {
        let state = self.store.state();
        match wish {
            Wish::ImportPool { pool, modified } => {
                let found = state.pools.get(pool);
                found.is_some_and(|found| found.modified >= *modified)
            }
            Wish::ImportIdentity {
                pool,
                identity,
                modified,
                floor,
                deleted,
            } => state.identity(pool, identity).is_some_and(|found| {
                let known = deleted
                    .iter()
                    .all(|(name, count)| match found.dataset(name) {
                        Some(known) => known.head().is_some() || known.sync_count() >= *count,
                        // As if it was deleted at this count.
                        None => found.floor >= *count,
                    });
                known && found.modified >= *modified && found.floor >= *floor
            }),
            _ => false,
        }
    }
}
