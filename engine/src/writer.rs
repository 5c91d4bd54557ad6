//! The way into the log: who submits, who plans, who writes.
//!
//! A batch is planned and staged by whoever has the *plan*, then written, synced, applied and
//! answered by whoever has the *log*; the next one is planned meanwhile. A blocking caller that
//! finds the plan free takes it for what waits, and the log with it if that is free too, since
//! waking another thread costs as much as half a sync; otherwise the log thread has the log.
//! Invariants: only who has the plan touches the end of the log, only who has both begins to write;
//! nothing is applied, shown or answered before it is durable, refusals included; after a failed
//! write or sync nothing is written again.

use crate::sync::atomic::AtomicBool;
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

mod errands;
mod pipeline;

use crate::batch::{Planner, Ready};
use crate::draft::Draft;
use crate::errand::Sent;
use crate::error::{Error, Fault, Refusal};
use crate::frame::Kind;
use crate::limits::Limits;
use crate::page::Page;
use crate::proposal::Proposal;
use crate::queue::{NotTaken, Queue};
use crate::store::{Disk, Store};
use crate::tail::Tail;
use crate::ticket::{Answer, Ticket};
use crate::types::{Location, Sequence, Timestamp};
use pipeline::Until;

/// How long the log must rest before a mark proves its last batch durable.
const REST: Duration = Duration::from_millis(500);

/// The clock that a store is opened with.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The way into the log.
pub(crate) struct Writer {
    store: Arc<Store>,
    limits: Limits,
    clock: Clock,
    intake: Mutex<Intake>,
    /// The intake changed in a way that someone waits for: a turn for the log thread, or the end.
    changed: Condvar,
    /// Locked by who has the plan.
    planner: Mutex<Planner>,
    /// Who has the log waits for the plan.
    wanted: AtomicBool,
    /// The plan was let go while it was wanted.
    given: Condvar,
    halt: OnceLock<Arc<str>>,
}

struct Intake {
    queue: Queue,
    errands: VecDeque<Arc<Sent>>,
    /// Someone has the plan.
    planning: bool,
    /// Someone has the log.
    writing: bool,
    /// Something is staged that nobody writes yet.
    staged: bool,
    /// What those behind the batch go by that is being written.
    written: Option<Arc<Draft>>,
    /// For who has the log and waits for the plan: the batch that is to be written next.
    ready: Option<Ready>,
    /// The log is the log thread's.
    turn: bool,
    /// There is a log thread.
    thread: bool,
    closed: bool,
    /// The log is marked as closed, or cannot be.
    finished: bool,
    batches: u64,
    /// The last commit that a mark proves durable.
    marked: Sequence,
}

impl Intake {
    fn is_idle(&self) -> bool {
        !self.staged && self.queue.is_empty() && self.errands.is_empty()
    }

    /// Nobody has the plan or the log.
    fn is_free(&self) -> bool {
        !self.planning && !self.writing
    }

    /// Takes the plan and the log.
    fn take_both(&mut self) {
        (self.planning, self.writing) = (true, true);
    }
}

/// What a submitter does for what waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Plans, and writes if nobody does.
    Take,
    /// Leaves it to the log thread.
    Leave,
    /// Nothing yet; it will see to it later.
    Queue,
}

impl Writer {
    pub(crate) fn new(store: Arc<Store>, tail: Tail, limits: Limits, clock: Clock) -> Self {
        let intake = Intake {
            queue: Queue::default(),
            errands: VecDeque::new(),
            planning: false,
            writing: false,
            staged: false,
            written: None,
            ready: None,
            turn: false,
            thread: false,
            closed: false,
            finished: false,
            batches: 0,
            marked: store.watermark.get().sequence,
        };
        let planner = Planner::new(tail, &store.state());
        Self {
            store,
            limits,
            clock,
            intake: Mutex::new(intake),
            changed: Condvar::new(),
            planner: Mutex::new(planner),
            wanted: AtomicBool::new(false),
            given: Condvar::new(),
            halt: OnceLock::new(),
        }
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For who has the plan.
    fn planner(&self) -> MutexGuard<'_, Planner> {
        self.planner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets nothing be written from now on.
    pub(crate) fn halt(&self, why: &str) {
        let _ = self.halt.set(why.into());
    }

    /// Why nothing is written any more.
    pub(crate) fn halted(&self) -> Option<&Arc<str>> {
        self.halt.get()
    }

    /// Batches synced, and submissions not yet answered.
    pub(crate) fn load(&self) -> (u64, usize) {
        let intake = self.intake();
        (intake.batches, intake.queue.len())
    }

    /// Blocks until the proposal is durable or refused.
    pub(crate) fn commit(&self, proposal: Proposal) -> Answer {
        let ticket = Arc::new(Ticket::default());
        let submitted = self.submit(proposal, &ticket, Role::Take);
        if submitted.map_err(|(_, error)| error)? {
            self.run(Until::Answered(&ticket));
        }
        ticket.wait()
    }

    /// Hands over a proposal without blocking; gives it back if a page has to be read for it.
    pub(crate) fn offer(&self, proposal: Proposal) -> Result<Arc<Ticket>, Proposal> {
        let ticket = Arc::new(Ticket::default());
        match self.take(proposal, &ticket, &HashMap::new(), Role::Leave) {
            Ok(_) => Ok(ticket),
            Err((proposal, NotTaken::Cold(..))) => Err(proposal),
            Err((_, NotTaken::Error(error))) => {
                ticket.answer(Err(error));
                Ok(ticket)
            }
        }
    }

    /// Many proposals, in order, that share syncs.
    pub(crate) fn commit_all(&self, proposals: Vec<Proposal>) -> Vec<Answer> {
        let mut tickets = Vec::with_capacity(proposals.len());
        for mut proposal in proposals {
            let ticket = Arc::new(Ticket::default());
            loop {
                match self.submit(proposal, &ticket, Role::Queue) {
                    Ok(_) => {}
                    // What this call queued itself may be all that is in the way.
                    Err((returned, Error::Refusal(Refusal::Busy))) if self.settle(&tickets) => {
                        proposal = returned;
                        continue;
                    }
                    Err((_, error)) => ticket.answer(Err(error)),
                }
                break;
            }
            tickets.push(ticket);
        }
        self.settle(&tickets);
        tickets.iter().map(|ticket| ticket.wait()).collect()
    }

    /// Sees to it that queued submissions are answered; false: they are.
    fn settle(&self, tickets: &[Arc<Ticket>]) -> bool {
        let Some(last) = tickets.iter().rfind(|ticket| !ticket.is_answered()) else {
            return false;
        };
        let mut intake = self.intake();
        let is_free = !intake.planning && !self.is_wanted();
        intake.planning |= is_free;
        drop(intake);
        if is_free {
            self.run(Until::Answered(last));
        }
        last.wait_for();
        true
    }

    /// Reads what has to be read, and queues the proposal. True: the plan was free and is now the
    /// caller's, who must run it.
    fn submit(
        &self,
        mut proposal: Proposal,
        ticket: &Arc<Ticket>,
        role: Role,
    ) -> Result<bool, (Proposal, Error)> {
        let mut loaded = HashMap::new();
        loop {
            match self.take(proposal, ticket, &loaded, role) {
                Ok(free) => return Ok(free),
                Err((proposal, NotTaken::Error(error))) => return Err((proposal, error)),
                Err((returned, NotTaken::Cold(dataset, location))) => {
                    match self.store.page_at(&dataset, location, Disk::MayRead) {
                        Ok(page) => drop(loaded.insert(location, page)),
                        // It has moved meanwhile, and its old place may be gone.
                        Err(_) if self.store.state().head(&dataset).location != Some(location) => {}
                        Err(error) => return Err((returned, error)),
                    }
                    proposal = returned;
                }
            }
        }
    }

    fn take(
        &self,
        proposal: Proposal,
        ticket: &Arc<Ticket>,
        loaded: &HashMap<Location, Arc<Page>>,
        role: Role,
    ) -> Result<bool, (Proposal, NotTaken)> {
        let mut intake = self.intake();
        if let Some(why) = self.halt.get() {
            return Err((proposal, NotTaken::Error(Error::halted(why))));
        }
        if intake.closed {
            return Err((proposal, NotTaken::Error(Fault::Closed.into())));
        }
        intake.queue.push(proposal, ticket, &self.store, loaded)?;
        // Who has the plan, or waits for it, comes by it.
        if role == Role::Queue || intake.planning || self.is_wanted() {
            return Ok(false);
        }
        if role == Role::Take {
            intake.planning = true;
            return Ok(true);
        }
        if intake.writing {
            return Ok(false);
        }
        intake.writing = true;
        if intake.thread {
            self.give_turn(&mut intake);
            return Ok(false);
        }
        intake.planning = true;
        drop(intake);
        self.write_all(Until::Idle);
        Ok(false)
    }

    /// Hands the log on to the log thread.
    fn give_turn(&self, intake: &mut MutexGuard<'_, Intake>) {
        intake.turn = true;
        self.changed.notify_all();
    }

    /// The log thread: writes when the log is handed over, and proves the last batch durable when
    /// the log rests.
    pub(crate) fn run_thread(&self) {
        self.intake().thread = true;
        let mut rested_at = Sequence::ZERO;
        loop {
            let intake = self.intake();
            let (mut intake, waited) = self
                .changed
                .wait_timeout_while(intake, REST, |intake| {
                    !(intake.turn || intake.closed && intake.is_free())
                })
                .unwrap_or_else(PoisonError::into_inner);
            if intake.turn {
                intake.turn = false;
                let next = self.go_on(intake, Until::Idle);
                self.write_on(next, Until::Idle);
                continue;
            }
            if intake.closed && intake.is_free() {
                intake.thread = false;
                return;
            }
            let durable = self.store.watermark.get().sequence;
            let rests = waited.timed_out() && durable == rested_at && intake.is_free();
            rested_at = durable;
            if rests && intake.marked < durable && self.halt.get().is_none() {
                intake.take_both();
                drop(intake);
                self.mark();
                self.write_all(Until::Idle);
            }
        }
    }

    fn mark(&self) {
        let tail = &mut self.planner().tail;
        let marked = tail.mark(Kind::DurableMark);
        if self.marked(tail, marked.clone().map(drop)).is_ok()
            && let Ok(durable) = marked
        {
            self.intake().marked = durable;
        }
    }

    /// Tells where the log ends now, or that nothing more can be written to it.
    fn marked(&self, tail: &Tail, done: Result<(), Fault>) -> Result<(), Error> {
        if let Err(fault) = done {
            let _ = self.halt.set(fault.text());
            return Err(fault.into());
        }
        self.store.watermark.marked(tail.end());
        Ok(())
    }

    /// Ends writing: what waits is still done, the log is marked as cleanly closed.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let mut intake = self.intake();
        let first = !intake.closed;
        intake.closed = true;
        self.changed.notify_all();
        let intake = self
            .changed
            .wait_while(intake, |intake| {
                !intake.is_free() || !intake.is_idle() || (!first && !intake.finished)
            })
            .unwrap_or_else(PoisonError::into_inner);
        drop(intake);
        if !first {
            return Ok(());
        }
        let closed = catch_unwind(AssertUnwindSafe(|| self.finish()));
        self.intake().finished = true;
        self.changed.notify_all();
        closed.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn finish(&self) -> Result<(), Error> {
        self.store.watermark.close();
        if let Some(why) = self.halt.get() {
            return Err(Error::halted(why));
        }
        let tail = &mut self.planner().tail;
        let closed = tail.close();
        self.marked(tail, closed)
    }
}
