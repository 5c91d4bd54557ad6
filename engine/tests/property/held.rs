//! A disk where one sync of a file can be held up, so that what comes meanwhile is planned on what
//! is not durable yet.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use syncline_engine::disk::{Call, SimDisk};

use crate::hooked::Hooked;

/// Holds up a sync.
#[derive(Default)]
pub struct Latch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum State {
    #[default]
    Open,
    /// The next sync is to wait.
    Shut,
    /// A sync waits; others go on.
    Holds,
}

impl Latch {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    /// The next sync will wait.
    pub fn shut(&self) {
        self.set(State::Shut);
    }

    /// Lets all go on.
    pub fn open(&self) {
        self.set(State::Open);
    }

    /// Waits until a sync waits, or the latch is open.
    pub fn wait_for_sync(&self) {
        let state = self.state.lock().unwrap();
        let waits = |state: &mut State| *state == State::Shut;
        drop(self.changed.wait_while(state, waits).unwrap());
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        if *state != State::Shut {
            return;
        }
        *state = State::Holds;
        self.changed.notify_all();
        let waits = |state: &mut State| *state != State::Open;
        drop(self.changed.wait_while(state, waits).unwrap());
    }
}

/// A simulated disk behind a latch.
pub fn held(disk: SimDisk, latch: &Arc<Latch>) -> Hooked {
    let latch = Arc::clone(latch);
    let hook = move |_: &Path, call| {
        if call == Call::Sync {
            latch.pass();
        }
    };
    Hooked {
        disk,
        hook: Arc::new(hook),
    }
}
