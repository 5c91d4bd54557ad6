//! Errands of the cleaner, which the log role does between two batches.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Writer;
use crate::errand::{Errand, Moved, Sent};
use crate::error::{Error, Fault};
use crate::state::Target;
use crate::sync::{Arc, PoisonError};

impl Writer {
    /// Sends an errand and waits for it.
    pub(crate) fn send(&self, errand: Errand) -> Result<Vec<bool>, Error> {
        let sent = Arc::new(Sent::new(errand));
        let mut intake = self.intake();
        if intake.closed {
            return Err(Fault::Closed.into());
        }
        intake.errands.push_back(Arc::clone(&sent));
        let free = !intake.taken;
        intake.taken = true;
        // Whoever has the role needs the intake to come by the errand.
        drop(intake);
        if free {
            self.run_errands();
            self.hand_on();
        }
        sent.wait()
    }

    /// Does what was sent. The caller has the role.
    pub(super) fn run_errands(&self) {
        loop {
            let Some(sent) = self.intake().errands.pop_front() else {
                return;
            };
            let run = || match &sent.errand {
                Errand::Install(moves) => Ok(self.install(moves)),
                Errand::Rotate => self.rotate().map(|()| Vec::new()),
                Errand::Swept(up_to, since) => {
                    self.store.state_mut().swept(*up_to, *since);
                    Ok(Vec::new())
                }
            };
            let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
                let why: Arc<str> = "the log role panicked on an errand".into();
                let _ = self.halt.set(Arc::clone(&why));
                Err(Error::halted(&why))
            });
            sent.finish(outcome);
        }
    }

    fn rotate(&self) -> Result<(), Error> {
        if let Some(why) = self.halt.get() {
            return Err(Error::halted(why));
        }
        let mut tail = self.role.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = tail.end_segment();
        self.marked(&tail, ended)
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
