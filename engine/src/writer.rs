//! The log role: one at a time takes a batch, plans, appends, syncs once, applies, answers.
//!
//! A blocking caller that finds the role free takes it for its own batch, since waking another
//! thread costs as much as half a sync; otherwise the log thread has it. Invariants: only the
//! holder of the role changes the state or the end of the log; nothing is applied, shown or
//! answered before it is durable, refusals included; after a failed write or sync nothing is
//! written again.

use crate::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

mod errands;

use crate::batch::{Batch, Grounds};
use crate::errand::Sent;
use crate::error::{Error, Fault, Refusal};
use crate::frame::Kind;
use crate::limits::Limits;
use crate::page::Page;
use crate::proposal::Proposal;
use crate::queue::{NotTaken, Queue, Submission};
use crate::store::{Disk, Store};
use crate::tail::Tail;
use crate::ticket::{Answer, Ticket};
use crate::types::{Location, Sequence, Timestamp};

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
    role: Mutex<Tail>,
    halt: OnceLock<Arc<str>>,
}

struct Intake {
    queue: Queue,
    errands: VecDeque<Arc<Sent>>,
    /// Someone has the role.
    taken: bool,
    /// The role is the log thread's.
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
        self.queue.is_empty() && self.errands.is_empty()
    }
}

/// Whether a submitter takes the role when it is free.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Take,
    Leave,
}

impl Writer {
    pub(crate) fn new(store: Arc<Store>, tail: Tail, limits: Limits, clock: Clock) -> Self {
        let intake = Intake {
            queue: Queue::default(),
            errands: VecDeque::new(),
            taken: false,
            turn: false,
            thread: false,
            closed: false,
            finished: false,
            batches: 0,
            marked: store.watermark.get().sequence,
        };
        Self {
            store,
            limits,
            clock,
            intake: Mutex::new(intake),
            changed: Condvar::new(),
            role: Mutex::new(tail),
            halt: OnceLock::new(),
        }
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
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
        if self.submit(proposal, &ticket).map_err(|(_, error)| error)? {
            self.lead(&ticket);
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
        let mut lead = false;
        for mut proposal in proposals {
            let ticket = Arc::new(Ticket::default());
            loop {
                match self.submit(proposal, &ticket) {
                    Ok(free) => lead |= free,
                    Err((returned, Error::Refusal(Refusal::Busy))) if lead => {
                        // What this call queued itself may be all that is in the way.
                        self.run_batch();
                        proposal = returned;
                        continue;
                    }
                    Err((_, error)) => ticket.answer(Err(error)),
                }
                break;
            }
            tickets.push(ticket);
        }
        if let Some(last) = tickets.last()
            && lead
        {
            self.lead(last);
        }
        tickets.iter().map(|ticket| ticket.wait()).collect()
    }

    /// Reads what has to be read, and queues the proposal. True: the role was free and is now the
    /// caller's, who must run it.
    fn submit(
        &self,
        mut proposal: Proposal,
        ticket: &Arc<Ticket>,
    ) -> Result<bool, (Proposal, Error)> {
        let mut loaded = HashMap::new();
        loop {
            match self.take(proposal, ticket, &loaded, Role::Take) {
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
        if intake.taken {
            return Ok(false);
        }
        intake.taken = true;
        if role == Role::Take {
            return Ok(true);
        }
        if intake.thread {
            self.give_turn(&mut intake);
            return Ok(false);
        }
        drop(intake);
        self.run_all();
        Ok(false)
    }

    fn give_turn(&self, intake: &mut MutexGuard<'_, Intake>) {
        intake.turn = true;
        self.changed.notify_all();
    }

    /// Runs the role until the ticket is answered, then hands it on if more waits.
    fn lead(&self, ticket: &Ticket) {
        while !ticket.is_answered() {
            self.run_batch();
        }
        self.hand_on();
    }

    /// Gives the role to whoever has to do the rest.
    fn hand_on(&self) {
        let mut intake = self.intake();
        if intake.is_idle() {
            self.let_go(&mut intake);
        } else if intake.thread {
            self.give_turn(&mut intake);
        } else {
            drop(intake);
            self.run_all();
        }
    }

    fn let_go(&self, intake: &mut MutexGuard<'_, Intake>) {
        intake.taken = false;
        if intake.closed {
            self.changed.notify_all();
        }
    }

    /// Runs the role until nothing waits.
    fn run_all(&self) {
        loop {
            self.run_batch();
            let mut intake = self.intake();
            if intake.is_idle() {
                self.let_go(&mut intake);
                return;
            }
        }
    }

    /// One batch, behind the errands that wait. The caller has the role.
    fn run_batch(&self) {
        self.run_errands();
        let (mut submissions, gate) = self.intake().queue.take_batch();
        if submissions.is_empty() {
            return;
        }
        let done = match self.halt.get() {
            Some(why) => refused(&submissions, &Error::halted(why)),
            None => self.guarded(&submissions),
        };
        if let Some(why) = &done.halt {
            let _ = self.halt.set(Arc::clone(why));
        }
        let rest = submissions.split_off(done.answers.len());
        let mut intake = self.intake();
        intake.batches += u64::from(done.synced);
        for (dataset, page) in &done.pages {
            intake.queue.moved(dataset, page);
        }
        for submission in &submissions {
            intake.queue.release(submission);
        }
        intake.queue.put_back(rest);
        drop(intake);
        for (submission, answer) in submissions.iter().zip(done.answers) {
            // A waker of the caller's may panic, which must not take the role along.
            let _ = catch_unwind(AssertUnwindSafe(|| submission.ticket.answer(answer)));
        }
        gate.open();
    }

    /// A panic in the role, or in the clock, is a bug: what it leaves behind is not to be built
    /// upon.
    fn guarded(&self, submissions: &[Submission]) -> Batch {
        let mut tail = self.role.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || {
            let grounds = Grounds {
                store: &self.store,
                limits: &self.limits,
                now: (self.clock)(),
            };
            Batch::run(&grounds, &mut tail, submissions)
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            let why: Arc<str> = "a bug: the log role panicked".into();
            let mut batch = refused(submissions, &Error::halted(&why));
            batch.halt = Some(why);
            batch
        })
    }

    /// The log thread: runs the role when it is handed over, and proves the last batch durable
    /// when the log rests.
    pub(crate) fn run_thread(&self) {
        self.intake().thread = true;
        let mut rested_at = Sequence::ZERO;
        loop {
            let intake = self.intake();
            let (mut intake, waited) = self
                .changed
                .wait_timeout_while(intake, REST, |intake| !intake.turn && !intake.closed)
                .unwrap_or_else(PoisonError::into_inner);
            if intake.turn {
                intake.turn = false;
                drop(intake);
                self.run_all();
                continue;
            }
            if intake.closed {
                intake.thread = false;
                return;
            }
            let durable = self.store.watermark.get().sequence;
            let rests = waited.timed_out() && durable == rested_at && !intake.taken;
            rested_at = durable;
            if rests && intake.marked < durable && self.halt.get().is_none() {
                intake.taken = true;
                drop(intake);
                self.mark();
                self.run_all();
            }
        }
    }

    fn mark(&self) {
        let mut tail = self.role.lock().unwrap_or_else(PoisonError::into_inner);
        let marked = tail.mark(Kind::DurableMark);
        if self.marked(&tail, marked.clone().map(drop)).is_ok()
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
                intake.taken || (!first && !intake.finished)
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
        let mut tail = self.role.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = tail.close();
        self.marked(&tail, closed)
    }
}

fn refused(submissions: &[Submission], error: &Error) -> Batch {
    Batch {
        answers: submissions.iter().map(|_| Err(error.clone())).collect(),
        ..Batch::default()
    }
}
