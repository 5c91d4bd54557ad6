//! Errands of the cleaner, done while no batch is planned or written.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Writer;
use super::pipeline::Until;
use crate::errand::{Errand, Moved, Sent};
use crate::error::{Error, Fault};
use crate::state::Target;
use crate::sync::Arc;
use crate::tail::Tail;

impl Writer {
    /// Sends an errand and waits for it.
    pub(crate) fn send(&self, errand: Errand) -> Result<Vec<bool>, Error> {
        let sent = Arc::new(Sent::new(errand));
        let mut intake = self.intake();
        if intake.closed {
            return Err(Fault::Closed.into());
        }
        intake.errands.push_back(Arc::clone(&sent));
        let is_free = intake.is_free();
        if is_free {
            intake.take_both();
        }
        drop(intake);
        if is_free {
            self.write_all(Until::Done(&sent));
        }
        sent.wait()
    }

    /// Does what was sent. The caller has the plan and the log.
    pub(super) fn run_errands(&self, tail: &mut Tail) {
        loop {
            let Some(sent) = self.intake().errands.pop_front() else {
                return;
            };
            let mut run = || match &sent.errand {
                Errand::Install(moves) => Ok(self.install(moves)),
                Errand::Rotate => self.rotate(tail).map(|()| Vec::new()),
                Errand::Swept(up_to, since) => {
                    self.store.state_mut().swept(*up_to, *since);
                    Ok(Vec::new())
                }
            };
            let outcome = catch_unwind(AssertUnwindSafe(&mut run)).unwrap_or_else(|_| {
                let why: Arc<str> = "the log role panicked on an errand".into();
                let _ = self.halt.set(Arc::clone(&why));
                Err(Error::halted(&why))
            });
            sent.finish(outcome);
        }
    }

    fn rotate(&self, tail: &mut Tail) -> Result<(), Error> {
        if let Some(why) = self.halt.get() {
            return Err(Error::halted(why));
        }
        let ended = tail.end_segment();
        self.marked(tail, ended)
    }

    /// Takes moves over: in the directory, for submissions that wait, and in the cache.
    fn install(&self, moves: &[Moved]) -> Vec<bool> {
        let mut intake = self.intake();
        let mut pages = Vec::with_capacity(moves.len());
        for Moved { moved, page } in moves {
            let used = self.store.cache.holds(moved.from)
                || matches!(&moved.target, Target::Dataset(id) if intake.queue.is_pinned(id));
            let page = page.as_ref().filter(|_| used);
            let relinked = page.map(|page| Arc::new(page.relinked(moved.to.location)));
            self.store.cache.follow(moved, relinked.as_ref());
            pages.push(relinked);
        }
        let mut state = self.store.state_mut();
        let installed: Vec<bool> = moves.iter().map(|m| state.install(&m.moved)).collect();
        drop(state);
        for ((Moved { moved, .. }, page), installed) in moves.iter().zip(pages).zip(&installed) {
            let outdated = if *installed {
                moved.from
            } else {
                moved.to.location
            };
            self.store.cache.remove(outdated);
            if let (Target::Dataset(id), Some(page), true) = (&moved.target, page, installed) {
                intake.queue.moved(id, &page);
            }
        }
        installed
    }
}
