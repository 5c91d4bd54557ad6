//! Purging at once: after it, no file of the directory holds a byte of what was deleted before.

use super::Cleaner;
use super::cold::Dead;
use super::garbage::Old;
use crate::errand::Errand;
use crate::error::Error;
use crate::readers::ReaderLag;
use crate::types::Sequence;

/// What a purge did.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let purged = engine.purge()?;
/// assert_eq!(purged.floor, engine.head().sequence);
/// for reader in purged.cut_off {
///     println!("{} has to begin again with an export", reader.name);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Purged {
    /// The feed begins behind this commit now.
    pub floor: Sequence,
    /// Readers that had not read up to there: what they missed they must read as an export.
    pub cut_off: Vec<ReaderLag>,
}

impl Cleaner {
    /// Ends the feed at the present, moves what lives, and takes all files away that hold something
    /// else.
    pub(crate) fn purge(&self) -> Result<Purged, Error> {
        let mut work = self.work();
        let work = &mut *work;
        self.store.snapshots.end();
        while self.store.clear_fallen(usize::MAX) {}
        self.writer.send(Errand::Rotate)?;
        let floor = self.store.watermark.get();
        let mut cut_off = self.store.lags((self.clock)());
        cut_off.retain(|lag| lag.sequence < floor.sequence);
        for segment in self.store.log.segments() {
            if segment.header.number <= floor.position.segment {
                self.retire(work, &segment)?;
            }
        }
        self.sweep_whole(work, Dead::Replaced)?;
        self.collect_dead(work);
        self.tidy_quarantine(0)?;
        self.store.log.spares.discard_old();
        self.replace_checkpoints(work)?;
        self.store.pins.overrun();
        self.drop_garbage(work, Old::Remove)?;
        self.publish(work);
        Ok(Purged {
            floor: floor.sequence,
            cut_off,
        })
    }

    /// Does at once what is worth doing: everything that may be released is, and cold segments are
    /// cleaned until they hold little else than what lives.
    pub(crate) fn compact(&self) -> Result<(), Error> {
        let mut work = self.work();
        let work = &mut *work;
        self.do_due(work)?;
        work.cold.finish()?;
        work.skipped.clear();
        self.sweep_whole(work, Dead::Deleted)?;
        while let Some(number) = self.next_to_clean(work) {
            self.clean(work, number)?;
        }
        self.collect_dead(work);
        self.replace_checkpoints(work)?;
        let dropped = self.drop_garbage(work, Old::Remove);
        self.publish(work);
        dropped
    }
}
