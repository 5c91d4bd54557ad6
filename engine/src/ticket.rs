//! The answer to a submission: set once by the log role, waited for by a thread or by a task of
//! any runtime.

use crate::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

mod gate;

pub(crate) use gate::Gate;

use crate::error::Error;
use crate::proposal::{Proposal, Receipt};

/// What a proposal came to.
pub(crate) type Answer = Result<Receipt, Error>;

/// The place where an answer will be.
#[derive(Default)]
pub(crate) struct Ticket {
    slot: Mutex<Slot>,
    answered: Condvar,
}

#[derive(Default)]
struct Slot {
    answer: Option<Answer>,
    /// What the answer is about. It goes back to who asked, whose thread gives its memory back:
    /// the log role would have to take that from the heaps of all others.
    spent: Option<Proposal>,
    waker: Option<Waker>,
    /// The end of the batch that most likely brings the answer.
    gate: Option<Arc<Gate>>,
    /// A thread waits, so that a wake-up is worth its system call.
    waiting: bool,
}

impl Slot {
    fn take(&mut self) -> Option<Answer> {
        self.spent = None;
        self.answer.take()
    }
}

impl Ticket {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of the batch in which the submission will be.
    pub(crate) fn expect(&self, gate: &Arc<Gate>) {
        self.lock().gate = Some(Arc::clone(gate));
    }

    /// Gives the answer; whoever waits at the gate of the batch goes on once that is open. Only the
    /// first one counts.
    pub(crate) fn answer(&self, answer: Answer) {
        self.settle(answer, None);
    }

    /// Gives the answer, and the proposal back with it.
    pub(crate) fn settle(&self, answer: Answer, spent: Option<Proposal>) {
        let mut slot = self.lock();
        if slot.answer.is_some() {
            return;
        }
        (slot.answer, slot.spent) = (Some(answer), spent);
        let (waker, waiting) = (slot.waker.take(), slot.waiting);
        drop(slot);
        if waiting {
            self.answered.notify_all();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.lock().answer.is_some()
    }

    /// Blocks until there is an answer, and takes it.
    pub(crate) fn wait(&self) -> Answer {
        self.settled().take().expect("waited for it")
    }

    /// Blocks until there is an answer, and leaves it there.
    pub(crate) fn wait_for(&self) {
        drop(self.settled());
    }

    fn settled(&self) -> MutexGuard<'_, Slot> {
        let mut slot = self.lock();
        if slot.answer.is_none()
            && let Some(gate) = slot.gate.take()
        {
            drop(slot);
            gate.wait();
            slot = self.lock();
        }
        // Put back behind its batch, it is answered on its own.
        slot.waiting = true;
        self.answered
            .wait_while(slot, |slot| slot.answer.is_none())
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves to the answer of a submission. Dropping it does not take the proposal back.
pub(crate) struct Answered(pub(crate) Arc<Ticket>);

impl Future for Answered {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut slot = self.0.lock();
        if let Some(answer) = slot.take() {
            return Poll::Ready(answer);
        }
        slot.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
