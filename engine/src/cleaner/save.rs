//! Writing checkpoints.

use super::{Cleaner, Work};
use crate::checkpoint::{self, Beginning, Head, HotSegment};
use crate::error::{Error, Fault};

impl Cleaner {
    /// Writes a checkpoint of everything that is durable now, or a little later.
    pub(super) fn save(&self, work: &mut Work) -> Result<(), Error> {
        self.save_pausing(work, |bytes| self.pause(bytes))
    }

    /// Writes a checkpoint if anything was committed since the last one.
    pub(crate) fn save_at_close(&self) -> Result<(), Error> {
        let mut work = self.work();
        if self.store.watermark.get().sequence > work.saved.1 {
            self.save_pausing(&mut work, |_| true)?;
        }
        Ok(())
    }

    fn save_pausing(&self, work: &mut Work, pause: impl FnMut(u64) -> bool) -> Result<(), Error> {
        let log = &self.store.log;
        let durable = self.store.watermark.get();
        work.last += 1;
        let hot = log
            .segments()
            .iter()
            .filter(|segment| segment.header.number <= durable.position.segment)
            .map(|segment| HotSegment {
                number: segment.header.number,
                base: segment.header.base.get(),
                time: segment.started().get(),
                end: segment.end(),
            })
            .collect();
        let head = Head {
            lineage: log.root.lineage.into_bytes(),
            number: work.last,
            after: durable.sequence.get(),
            time: self.store.state().time.get(),
            segment: durable.position.segment,
            offset: durable.position.offset,
            chain: durable.chain,
            first_hot: work.first_hot,
        };
        let written = checkpoint::write(
            &log.disk,
            &Beginning { head, hot },
            &log.cold,
            |look| look(&self.store.state()),
            pause,
        )?;
        let written = written.ok_or(Fault::Closed)?;
        work.saved = (durable.position, durable.sequence);
        work.saved_at = (self.clock)();
        work.kept.push(written);
        work.figures.checkpoints += 1;
        work.figures.checkpoint_bytes = written.bytes;
        self.publish(work);
        self.remove_unknown(work)?;
        self.thin_out(work)
    }
}
