//! One pool's way to its sink: take, put, note how far it is, and wait for more.
//!
//! A pool's events are put one batch after the other, so those of an identity arrive in order.
//! What was not taken is not kept in memory: it is read again when its turn comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use syncline_engine::{Cursor, Error, Fault, Feed, PoolId, Refusal, Sequence};
use tokio::sync::Notify;

use super::End;
use super::outlet::Outlet;
use super::phase::{Phase, Phases};
use super::place::Place;
use super::trouble::Trouble;
use super::window::{Next, Taken, Window, of_pool};
use crate::error::Chain;
use crate::sink::{BATCH_BYTES_MAX, Parcel, PutError};
use crate::site::stored;
use crate::site::{Site, StreamingPool};
use crate::stream::{Event, link};

/// A sink that takes nothing for so long is not waited for by bulk publishes of other pools.
const STALLED: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Lane {
    site: Arc<Site>,
    window: Arc<Window>,
    outlet: Arc<Outlet>,
    pool: PoolId,
    id: stored::Id,
    phases: Phases,
    bell: Arc<Notify>,
    place: Place,
    /// The last commit whose events the sink has.
    at: Sequence,
    /// The last event that is done with, which may be in the middle of a commit: the next try
    /// goes on behind it. What is stored are whole commits.
    done: Option<(Sequence, u32)>,
    /// Reads the log while the window does not reach back to here.
    feed: Option<Feed>,
    trouble: Option<Trouble>,
}

impl Lane {
    /// The way of a pool from where it stopped, or where its stream begins.
    ///
    /// # Errors
    /// See [`Place::find`].
    pub(super) async fn open(
        site: Arc<Site>,
        window: Arc<Window>,
        outlet: Arc<Outlet>,
        streaming: &StreamingPool,
        phases: Phases,
    ) -> Result<Self, End> {
        let id = stored::Id::parse(streaming.pool.as_str()).ok_or(End::Gone)?;
        let place = Place::find(&site, &id, streaming, &outlet.name).await?;
        let bell = window.watch(streaming.pool);
        let trouble = place.failing().map(Trouble::new);
        if trouble.is_some() {
            outlet.tally.failing.inc();
        }
        let at = place.sequence();
        tracing::info!(pool = %id, stream = outlet.name, after = at.get(), "streaming");
        Ok(Self {
            site,
            window,
            outlet,
            pool: streaming.pool,
            id,
            phases,
            bell,
            place,
            at,
            done: None,
            feed: None,
            trouble,
        })
    }

    /// Delivers until there is a reason to end.
    pub(super) async fn run(mut self) -> End {
        // Where it begins is known from now on, whatever becomes of the store.
        let failing = self.failing();
        if let Err(end) = self.place.store(self.at, failing).await {
            return end;
        }
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        let failing = self.failing();
        match end {
            // What was delivered since it was stored last would only come twice.
            End::Told => self
                .place
                .store(self.at, failing)
                .await
                .err()
                .unwrap_or(End::Told),
            end => end,
        }
    }

    async fn step(&mut self) -> Result<(), End> {
        if self.phases.now() == Phase::Stop {
            return Err(End::Told);
        }
        match self.window.next(&self.pool, self.at) {
            Next::Quiet(at) => {
                self.at = at;
                self.feed = None;
                self.idle().await
            }
            Next::News(taken) => {
                self.feed = None;
                let room = self.room().await?;
                let delivered = self.deliver(taken).await?;
                drop(room);
                self.after(delivered).await
            }
            Next::Behind => {
                let room = self.room().await?;
                let taken = self.read().await?;
                let delivered = self.deliver(taken).await?;
                // Whoever waits has nothing in memory.
                drop(room);
                self.after(delivered).await
            }
        }
    }

    async fn after(&mut self, delivered: Result<(), Reason>) -> Result<(), End> {
        match delivered {
            Ok(()) => Ok(()),
            Err(error) => self.wait(&*error).await,
        }
    }

    /// Waits for news, and stores the place when that is due.
    async fn idle(&mut self) -> Result<(), End> {
        if self.phases.now() == Phase::Flush {
            return Err(End::Told);
        }
        let due = tokio::time::Instant::from_std(self.place.due());
        tokio::select! {
            () = self.bell.notified() => return Ok(()),
            () = self.phases.flushing() => return Ok(()),
            () = tokio::time::sleep_until(due) => {}
        }
        let failing = self.failing();
        self.place.store(self.at, failing).await
    }

    async fn room(&mut self) -> Result<tokio::sync::OwnedSemaphorePermit, End> {
        let room = Arc::clone(&self.outlet.room);
        tokio::select! {
            room = room.acquire_owned() => Ok(room.expect("the semaphore is never closed")),
            () = self.phases.stopped() => Err(End::Told),
        }
    }

    /// Reads on in the log, about 1 MiB.
    async fn read(&mut self) -> Result<Taken, End> {
        let engine = self.site.store.engine();
        let feed = match self.feed.take() {
            Some(feed) if feed.cursor().sequence == self.at => Ok(feed),
            _ => engine.feed(Cursor {
                sequence: self.at,
                ..engine.head()
            }),
        };
        let mut feed = feed.map_err(|error| self.unreadable(error))?;
        let reading = self.site.store.blocking(move |_| {
            let commits = feed.read()?;
            Ok((feed, commits))
        });
        let (feed, commits) = reading.await.map_err(|error| self.unreadable(error))?;
        let read = &self.site.outflow.counters.read_for_one;
        read.inc_by(commits.len() as u64);
        let taken = Taken {
            to: feed.cursor().sequence,
            events: of_pool(commits, &self.pool),
        };
        self.feed = Some(feed);
        Ok(taken)
    }

    fn unreadable(&self, error: Error) -> End {
        match error {
            Error::Refusal(Refusal::CursorTooOld { floor }) => End::Broken(format!(
                "The stream fell behind what the log keeps: changes from commit {} to commit {} \
                 were not told and are gone from it. Enable streaming again and start a \
                 BulkPublish",
                self.at.next(),
                floor
            )),
            Error::Fault(Fault::Closed) => End::Told,
            error => End::Fault(Chain(&error).to_string()),
        }
    }

    /// Puts events batch by batch. The first trouble ends it: the rest is taken again.
    async fn deliver(&mut self, taken: Taken) -> Result<Result<(), Reason>, End> {
        let done = self.done;
        let left = |event: &Arc<Event>| Some(order(event)) > done;
        let mut events = taken.events.into_iter().filter(left).peekable();
        while events.peek().is_some() {
            let (mut batch, mut parcels) = (Vec::new(), Vec::new());
            let mut bytes = 0;
            while let Some(event) = events.peek()
                && batch.len() < self.outlet.sink.batch_events()
            {
                let parcel = self.parcel(event);
                if bytes > 0 && bytes + parcel.envelope.len() > BATCH_BYTES_MAX {
                    break;
                }
                bytes += parcel.envelope.len();
                parcels.push(parcel);
                batch.extend(events.next());
            }
            match self.put(&batch, parcels).await? {
                Ok(()) => self.took(batch.last().map(Arc::as_ref)).await?,
                failed => return Ok(failed),
            }
        }
        self.at = self.at.max(taken.to);
        let failing = self.failing();
        self.place.store_if_due(self.at, failing).await?;
        Ok(Ok(()))
    }

    fn parcel(&self, event: &Event) -> Parcel {
        self.outlet.sink.parcel(event, |id| link(&self.site, id))
    }

    /// Puts a batch; if the sink refuses it, each of its events by itself, and what it refuses
    /// then is set aside. Events that are done with do not come again with those that are not.
    async fn put(
        &mut self,
        batch: &[Arc<Event>],
        parcels: Vec<Parcel>,
    ) -> Result<Result<(), Reason>, End> {
        match self.offer(parcels).await? {
            Ok(()) => return Ok(Ok(())),
            Err(PutError::Trouble(error)) => return Ok(Err(error)),
            Err(PutError::Partly { taken, error }) => {
                self.took(batch[..taken].last().map(Arc::as_ref)).await?;
                return Ok(Err(error));
            }
            Err(PutError::Refused(error)) if batch.len() == 1 => {
                return self.set_aside(self.parcel(&batch[0]), &*error).await;
            }
            Err(PutError::Refused(_)) => self.outlet.tally.retries.inc(),
        };
        for event in batch {
            let put = match self.offer(vec![self.parcel(event)]).await? {
                Ok(()) => Ok(()),
                Err(PutError::Trouble(error) | PutError::Partly { error, .. }) => Err(error),
                Err(PutError::Refused(error)) => {
                    self.set_aside(self.parcel(event), &*error).await?
                }
            };
            if put.is_err() {
                return Ok(put);
            }
            self.took(Some(event)).await?;
        }
        Ok(Ok(()))
    }

    async fn offer(&mut self, batch: Vec<Parcel>) -> Result<Result<(), PutError>, End> {
        let number = batch.len() as u64;
        self.site.keep_links().await;
        let put = tokio::select! {
            put = self.outlet.sink.put(batch) => put,
            () = self.phases.stopped() => return Err(End::Told),
        };
        match &put {
            Ok(()) => self.outlet.tally.sent.inc_by(number),
            Err(PutError::Partly { taken, .. }) => self.outlet.tally.sent.inc_by(*taken as u64),
            Err(_) => 0,
        };
        Ok(put)
    }

    async fn set_aside(
        &mut self,
        parcel: Parcel,
        refusal: &(dyn std::error::Error + Send + Sync + 'static),
    ) -> Result<Result<(), Reason>, End> {
        let (outlet, pool) = (Arc::clone(&self.outlet), self.id.clone());
        let reason = Chain(refusal).to_string();
        let adding = tokio::task::spawn_blocking(move || {
            outlet.aside.add(&parcel, &reason)?;
            outlet.tally.set_aside.inc();
            let file = outlet.aside.path().display();
            tracing::error!(
                stream = outlet.name, %pool, event = %parcel.id,
                "the sink refused an event for good, it is set aside in {file}: {reason}"
            );
            Ok(())
        });
        match adding.await {
            Ok(added) => Ok(added.map_err(|error: crate::sink::AsideError| error.into())),
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }

    /// The sink has everything up to an event.
    async fn took(&mut self, last: Option<&Event>) -> Result<(), End> {
        if let Some(last) = last {
            let sequence = last.id.sequence.get();
            // Other events of the same commit may still be to come.
            let whole = if last.is_last { sequence } else { sequence - 1 };
            self.at = self.at.max(Sequence::new(whole));
            self.done = Some(order(last));
        }
        if self.trouble.take().is_some() {
            self.outlet.tally.failing.dec();
            self.site.outflow.holds.set_stalled(&self.pool, false);
            let (stream, pool) = (&self.outlet.name, &self.id);
            tracing::info!(stream, %pool, "the sink takes events again");
        }
        self.place.delivered();
        self.place.store_if_due(self.at, None).await
    }

    /// Waits after a failed try, or gives up.
    async fn wait(
        &mut self,
        error: &(dyn std::error::Error + Send + Sync + 'static),
    ) -> Result<(), End> {
        if self.trouble.is_none() {
            self.outlet.tally.failing.inc();
        }
        let new = || Trouble::new(Duration::ZERO);
        let trouble = self.trouble.get_or_insert_with(new);
        let failing = trouble.failing();
        let (name, pool) = (&self.outlet.name, &self.id);
        self.site
            .outflow
            .holds
            .set_stalled(&self.pool, failing >= STALLED);
        if trouble.is_to_be_said() {
            let since_s = failing.as_secs();
            tracing::warn!(
                stream = name, %pool,
                "the sink has taken nothing for {since_s} s and is tried again: {}", Chain(error)
            );
        }
        let give_up = self.site.config.streaming.give_up();
        if failing >= give_up {
            // Developers of the pool read the reason; what a sink says is the operator's.
            tracing::error!(stream = name, %pool, "the sink is given up: {}", Chain(error));
            return Err(End::Broken(format!(
                "The sink of the stream {name} took nothing for {} seconds; the server's log says \
                 why. Changes behind commit {} were not told. Enable streaming again when it \
                 works, and start a BulkPublish",
                give_up.as_secs(),
                self.at
            )));
        }
        if !self.site.has_pool(self.pool.as_str()) {
            return Err(End::Gone);
        }
        let until = Instant::now() + trouble.wait().min(give_up);
        self.feed = None;
        self.place.store_if_due(self.at, Some(failing)).await?;
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            // It would not get further in the time that is left.
            () = self.phases.flushing() => return Err(End::Told),
        }
        self.outlet.tally.retries.inc();
        Ok(())
    }

    fn failing(&self) -> Option<Duration> {
        self.trouble.as_ref().map(Trouble::failing)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.window.forget(&self.pool);
        if self.trouble.is_some() {
            self.outlet.tally.failing.dec();
        }
    }
}

/// Where an event is in the log.
fn order(event: &Event) -> (Sequence, u32) {
    (event.id.sequence, event.id.index)
}

/// Why something was not taken.
type Reason = Box<dyn std::error::Error + Send + Sync>;
