//! Two batches at a time: one that is being planned, and one that is being written.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Intake, Writer};
use crate::batch::{Grounds, Planner, Ready};
use crate::errand::Sent;
use crate::error::Fault;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, MutexGuard, PoisonError};
use crate::tail::Flush;
use crate::ticket::Ticket;

/// How long who writes goes on before the log is handed on.
#[derive(Clone, Copy)]
pub(super) enum Until<'a> {
    /// There is nothing to do.
    Idle,
    /// This is answered.
    Answered(&'a Ticket),
    /// This is done.
    Done(&'a Sent),
}

impl Until<'_> {
    fn is_over(self) -> bool {
        match self {
            Self::Idle => false,
            Self::Answered(ticket) => ticket.is_answered(),
            Self::Done(sent) => sent.is_done(),
        }
    }
}

/// Whose the log is while something is planned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    /// Of who plans, and goes on until nothing waits.
    IsOurs,
    /// Someone writes meanwhile, and may want to go on.
    IsWritten,
}

/// What who has written a batch does next.
pub(super) enum Next {
    /// Nothing: the log is let go, or handed on.
    Leave,
    /// It has the plan, too.
    Plan,
    /// Another batch is ready.
    Write(Ready),
}

/// Submissions that are planned before anyone looks who else wants to go on.
const TOGETHER: usize = 64;

impl Writer {
    /// Plans what waits, and writes it if nobody else does. The caller has the plan.
    pub(super) fn run(&self, until: Until<'_>) {
        let mut planner = self.planner();
        loop {
            let mut intake = self.intake();
            if !intake.writing {
                intake.writing = true;
                drop((intake, planner));
                return self.write_all(until);
            }
            self.give(&mut planner, &mut intake);
            // Who writes comes by all that is left here.
            let waits = !intake.queue.is_empty() && intake.errands.is_empty();
            if !waits || planner.is_full() || self.is_wanted() {
                return self.let_plan_go(planner, &mut intake);
            }
            self.plan(&mut planner, intake, Log::IsWritten);
        }
    }

    /// Ends the batch, if there is one, for who writes and waits for the plan.
    fn give(&self, planner: &mut Planner, intake: &mut Intake) {
        if self.is_wanted() && !planner.is_empty() {
            intake.ready = Some(end_batch(planner, intake));
            self.wanted.store(false, Ordering::Relaxed);
            self.given.notify_all();
        }
    }

    fn let_plan_go(&self, planner: MutexGuard<'_, Planner>, intake: &mut Intake) {
        drop(planner);
        intake.planning = false;
        if self.is_wanted() {
            self.given.notify_all();
        }
    }

    /// Who writes waits for the plan.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Plans and stages those that wait, or some of them. The caller has the plan.
    fn plan(&self, planner: &mut Planner, mut intake: MutexGuard<'_, Intake>, log: Log) {
        let count = match log {
            Log::IsOurs => planner.room(),
            Log::IsWritten => planner.room().min(TOGETHER),
        };
        planner.take(intake.queue.take(count));
        let written = intake.written.clone();
        drop(intake);
        let before = planner.staged();
        let stage = || {
            if let Some(why) = self.halt.get() {
                return Err(Fault::halted(why));
            }
            let grounds = Grounds {
                store: &self.store,
                limits: &self.limits,
                now: (self.clock)(),
                written: written.as_deref(),
                may_begin: log == Log::IsOurs,
            };
            planner.stage(&grounds, || self.is_wanted())
        };
        if let Err(fault) = self.guarded(stage) {
            planner.refuse(&fault.into());
        }
        let left = planner.left();
        let mut intake = self.intake();
        for (dataset, page) in planner.pages(before) {
            intake.queue.moved(dataset, page);
        }
        intake.queue.put_back(left);
        intake.staged = !planner.is_empty();
    }

    /// Writes batch after batch. The caller has the plan and the log.
    pub(super) fn write_all(&self, until: Until<'_>) {
        self.write_on(Next::Plan, until);
    }

    /// Does what is next, and goes on. The caller has the log, and the plan where it says so.
    pub(super) fn write_on(&self, mut next: Next, until: Until<'_>) {
        loop {
            let ready = match next {
                Next::Leave => None,
                Next::Plan => self.next_batch(),
                Next::Write(ready) => Some(ready),
            };
            let Some(ready) = ready else {
                return;
            };
            self.write(ready);
            next = self.go_on(self.intake(), until);
        }
    }

    /// What the caller, who has the log, is to do.
    pub(super) fn go_on(&self, mut intake: MutexGuard<'_, Intake>, until: Until<'_>) -> Next {
        if intake.planning {
            if until.is_over() {
                // Who plans will find that nobody writes.
                intake.writing = false;
                return Next::Leave;
            }
            self.wanted.store(true, Ordering::Relaxed);
            intake = self
                .given
                .wait_while(intake, |intake| intake.planning && intake.ready.is_none())
                .unwrap_or_else(PoisonError::into_inner);
            self.wanted.store(false, Ordering::Relaxed);
            if let Some(ready) = intake.ready.take() {
                return Next::Write(ready);
            }
        }
        if intake.is_idle() {
            self.let_go(&mut intake);
            return Next::Leave;
        }
        if until.is_over() && intake.thread {
            self.give_turn(&mut intake);
            return Next::Leave;
        }
        intake.planning = true;
        Next::Plan
    }

    /// Nobody has the plan or the log from now on.
    fn let_go(&self, intake: &mut Intake) {
        (intake.planning, intake.writing) = (false, false);
        if intake.closed {
            self.changed.notify_all();
        }
    }

    /// What is to be written next; the plan is let go. Without anything to do both are let go.
    fn next_batch(&self) -> Option<Ready> {
        let mut planner = self.planner();
        loop {
            let mut intake = self.intake();
            if !planner.is_empty() {
                let ready = end_batch(&mut planner, &mut intake);
                drop(planner);
                intake.planning = false;
                return Some(ready);
            }
            if !intake.errands.is_empty() {
                drop(intake);
                self.run_errands(&mut planner.tail);
                planner.start_anew();
            } else if intake.queue.is_empty() {
                self.let_go(&mut intake);
                return None;
            } else {
                self.plan(&mut planner, intake, Log::IsOurs);
            }
        }
    }

    /// Writes, syncs, applies and answers a batch. The caller has the log.
    fn write(&self, ready: Ready) {
        let Ready {
            mut batch,
            flush,
            gate,
        } = ready;
        let is_written = flush.is_some();
        let write = |flush: Flush| {
            let end = flush.end();
            flush.run()?;
            batch.publish(&self.store, end);
            Ok(())
        };
        let done = match (self.halt.get(), flush) {
            (Some(why), _) => Err(Fault::halted(why)),
            (None, Some(flush)) => self.guarded(|| write(flush)),
            (None, None) => Ok(()),
        };
        if let Err(fault) = &done {
            batch.fail(fault);
        }
        let mut intake = self.intake();
        let written = intake.written.take();
        intake.batches += u64::from(is_written && done.is_ok());
        for submission in &batch.submissions {
            intake.queue.release(submission);
        }
        drop(intake);
        drop(written);
        for (submission, answer) in batch.submissions.into_iter().zip(batch.answers) {
            // A waker of the caller's may panic, which must not take the log along.
            let spent = Some(submission.proposal);
            let settle = || submission.ticket.settle(answer, spent);
            let _ = catch_unwind(AssertUnwindSafe(settle));
        }
        gate.open();
    }

    /// After a failure nothing may be written. A panic here, or in the clock, is a bug: what it
    /// leaves behind is not to be built upon.
    fn guarded(&self, run: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
        let done = catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| Err(Fault::halted(&"a bug: the log role panicked".into())));
        if let Err(fault) = &done {
            let _ = self.halt.set(fault.reason());
        }
        done
    }
}

/// Ends the batch, which is not empty. All before it must be durable.
fn end_batch(planner: &mut Planner, intake: &mut Intake) -> Ready {
    let (ready, draft) = planner.end_batch(intake.queue.end_batch());
    intake.staged = false;
    intake.written = Some(Arc::new(draft));
    ready
}
