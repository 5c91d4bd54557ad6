//! Pins: while an export runs, files that it may still have to read stay.

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::collections::BTreeMap;

/// All pins of a store.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Rises with every file that is freed and every pin that is set.
    tick: u64,
    held: BTreeMap<u64, Arc<AtomicBool>>,
}

/// Keeps every file that was there when it was made, until it is dropped or overrun.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Arc<Pins>,
    tick: u64,
    overrun: Arc<AtomicBool>,
}

impl Pins {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A moment that is later than all before.
    pub(crate) fn tick(&self) -> u64 {
        let mut inner = self.lock();
        inner.tick += 1;
        inner.tick
    }

    pub(crate) fn hold(self: &Arc<Self>) -> Pin {
        let mut inner = self.lock();
        inner.tick += 1;
        let (tick, overrun) = (inner.tick, Arc::default());
        inner.held.insert(tick, Arc::clone(&overrun));
        Pin {
            pins: Arc::clone(self),
            tick,
            overrun,
        }
    }

    /// When the oldest pin was set.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.lock().held.keys().next().copied()
    }

    /// Lifts all pins: they keep too much.
    pub(crate) fn overrun(&self) {
        for (_, overrun) in std::mem::take(&mut self.lock().held) {
            overrun.store(true, Ordering::Release);
        }
    }
}

impl Pin {
    /// It kept too much, and keeps nothing any more.
    pub(crate) fn is_overrun(&self) -> bool {
        self.overrun.load(Ordering::Acquire)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.pins.lock().held.remove(&self.tick);
    }
}
