//! `syncline publish`: sends a pool's changes, or everything it has, to a stream of the
//! configuration once more.

use std::error::Error;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use sha2::{Digest, Sha256};
use syncline_engine::{
    Cursor, Engine, Error as EngineError, Exported, FeedCommit, PoolId, Records, Refusal, Scope,
    Sequence,
};
use syncline_server::error::Chain;
use syncline_server::sink::{Aside, BATCH_BYTES_MAX, Parcel, PutError, Sink};
use syncline_server::site::stored;
use syncline_server::stream::{Event, EventId, Told, events};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::place::Place;
use super::progress::bar;
use super::say::say;
use super::stopped::open;

/// Times that a batch is put before the command gives up, and the wait in between.
const TRIES: u32 = 10;
const WAIT: Duration = Duration::from_secs(1);
/// The index of a snapshot's first event. No commit has so many, so that ids of a snapshot are
/// never those of changes; a snapshot of a pool at the same moment has the same ids.
const SNAPSHOT_INDEX: u32 = 1_000_000;

/// What to send, and where to.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    place: Place,
    /// The identity pool
    #[arg(long, value_name = "ID")]
    pool: String,
    /// The stream, as [streams.NAME] of the configuration calls it
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Changes behind this one: the number of a commit, or the eventId of an event
    #[arg(long, value_name = "CURSOR", required_unless_present = "snapshot")]
    from: Option<String>,
    /// Every dataset as it is now, whole
    #[arg(long, conflicts_with = "from")]
    snapshot: bool,
    /// Say what was done as JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// Events on their way.
struct Sending {
    sink: Sink,
    runtime: Runtime,
    bar: ProgressBar,
    batch: Vec<Parcel>,
    bytes: usize,
    sent: u64,
    /// Where events go that the sink refused for good, and how many did.
    aside: Aside,
    set_aside: u64,
}

impl Publish {
    /// Does it, and says what was sent.
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let config = self.place.clone().read()?;
        config.check()?;
        let Some(stream) = config.streams.get(&self.stream) else {
            let known: Vec<&str> = config.streams.keys().map(String::as_str).collect();
            let known = known.join(", ");
            let name = &self.stream;
            return Err(match known.as_str() {
                "" => format!(
                    "the configuration has no stream {name:?}, and no other: name the \
                     file with --config"
                ),
                known => format!("the configuration has no stream {name:?}; it has {known}"),
            }
            .into());
        };
        let pool = PoolId::parse(&self.pool)?;
        let sink = Sink::new(&self.stream, stream)?;
        let engine = open(self.place, false, true)?;
        let known = stored::Id::parse(pool.as_str()).and_then(|id| {
            let reader = engine.resident_reader();
            reader.metadata_version(&stored::pool_key(&id))
        });
        if known.is_none() {
            return Err(format!("there is no identity pool {pool} in this data directory").into());
        }
        let mut sending = Sending {
            sink,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            bar: ProgressBar::hidden(),
            batch: Vec::new(),
            bytes: 0,
            sent: 0,
            aside: Aside::new(&config.data, &self.stream),
            set_aside: 0,
        };
        let end = match &self.from {
            None => snapshot(&engine, pool, &mut sending)?,
            Some(from) => changes(&engine, pool, from, &mut sending)?,
        };
        sending.bar.finish_and_clear();
        let (sent, name) = (sending.sent, &self.stream);
        let value = json!({
            "stream": name,
            "events": sent,
            "set_aside": sending.set_aside,
            "sequence": end.get(),
        });
        let text = format!("Sent {sent} events to {name}, up to commit {end}.");
        say(self.json, &value, &text)?;
        engine.close()?;
        match sending.set_aside {
            0 => Ok(()),
            number => {
                let file = sending.aside.path().display();
                Err(format!("the sink refused {number} events for good: they are in {file}").into())
            }
        }
    }
}

/// Sends every dataset of a pool as it is now.
fn snapshot(
    engine: &Engine,
    pool: PoolId,
    sending: &mut Sending,
) -> Result<Sequence, Box<dyn Error>> {
    let mut export = engine.export(Scope::Pool(pool))?;
    let cursor = export.cursor();
    let total = export.progress().datasets_total;
    sending.bar = bar(total, "{bar:40} {pos}/{len} datasets, {eta} left");
    let mut index = SNAPSHOT_INDEX;
    while let Some(exported) = export.next() {
        let Exported::Dataset { dataset, content } = exported? else {
            continue;
        };
        let records = Records::try_from(&content.records[..])?;
        let event = Event {
            id: EventId {
                store: of_pool(cursor.store, pool),
                sequence: cursor.sequence,
                index,
            },
            is_last: false,
            time: content.modified,
            dataset,
            sync_count: content.sync_count,
            modified: content.modified,
            told: Told::Whole(records.live()),
        };
        index = index.checked_add(1).ok_or("more datasets than ids")?;
        sending.add(&event, "begin again with --snapshot")?;
        sending.bar.set_position(export.progress().datasets);
    }
    sending.put("begin again with --snapshot")?;
    Ok(cursor.sequence)
}

/// What stands for the store in the ids of a pool's snapshot. Each pool has another, since all of
/// them may be sent at the same commit, to a consumer that drops repeats by their ids.
fn of_pool(store: Uuid, pool: PoolId) -> Uuid {
    let mut hasher = Sha256::new();
    hasher.update(store.as_bytes());
    hasher.update(pool.as_str());
    let hash: [u8; 32] = hasher.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(bytes)
}

/// Sends the changes of a pool behind a commit.
fn changes(
    engine: &Engine,
    pool: PoolId,
    from: &str,
    sending: &mut Sending,
) -> Result<Sequence, Box<dyn Error>> {
    let (head, tail) = (engine.head(), engine.tail());
    let cursor = parse(from, head)?;
    let mut feed = engine
        .feed(cursor)
        .map_err(|error| refused(from, head, tail, error))?;
    let total = head.sequence.get() - cursor.sequence.get();
    sending.bar = bar(total, "{bar:40} {pos}/{len} commits, {eta} left");
    let mut whole = cursor.sequence;
    loop {
        let commits: Vec<FeedCommit> = feed
            .read()
            .map_err(|error| refused(from, head, tail, error))?;
        if commits.is_empty() {
            break;
        }
        for event in commits.into_iter().flat_map(events) {
            if event.dataset.pool == pool {
                sending.add(&event, &format!("go on with --from {whole}"))?;
            }
        }
        // What is read is sent before more is, so that a failure says where to go on.
        sending.put(&format!("go on with --from {whole}"))?;
        whole = feed.cursor().sequence;
        sending
            .bar
            .set_position(whole.get() - cursor.sequence.get());
    }
    Ok(head.sequence)
}

/// A commit's number, or the id of one of its events: `<store>-<number>-<index>`.
fn parse(from: &str, head: Cursor) -> Result<Cursor, Box<dyn Error>> {
    let wrong = || format!("--from is the number of a commit or an eventId, not {from:?}");
    if let Ok(sequence) = from.parse::<u64>() {
        let sequence = Sequence::new(sequence);
        return Ok(Cursor { sequence, ..head });
    }
    let mut parts = from.rsplitn(3, '-');
    let index = parts.next().and_then(|part| part.parse::<u32>().ok());
    let sequence = parts.next().and_then(|part| part.parse::<u64>().ok());
    let (Some(_), Some(sequence), Some(store)) = (index, sequence, parts.next()) else {
        return Err(wrong().into());
    };
    let store = store.parse().map_err(|_| wrong())?;
    // Other events of the same commit may be behind it: those of the whole commit come again.
    let sequence = Sequence::new(sequence.saturating_sub(1));
    Ok(Cursor { store, sequence })
}

fn refused(from: &str, head: Cursor, tail: Cursor, error: EngineError) -> Box<dyn Error> {
    match error {
        EngineError::Refusal(Refusal::CursorTooOld { .. }) => format!(
            "changes right behind {from} are gone: the log begins behind commit {}. Send \
             everything with --snapshot, then begin with that",
            tail.sequence
        )
        .into(),
        EngineError::Refusal(Refusal::ForeignCursor) => format!(
            "{from} is not of this store, whose commits end with {}; a restored store begins \
             anew: send everything with --snapshot",
            head.sequence
        )
        .into(),
        error => error.into(),
    }
}

impl Sending {
    /// Adds an event; sends what came before if it does not fit any more. `advice` says what to do
    /// if that fails.
    fn add(&mut self, event: &Event, advice: &str) -> Result<(), Box<dyn Error>> {
        // Links lead to a server that runs; whoever cannot take so much refuses it.
        let parcel = Parcel::new(event, usize::MAX, |_| String::new());
        let bytes = parcel.envelope.len();
        let is_full = self.batch.len() >= self.sink.batch_events()
            || self.bytes > 0 && self.bytes + bytes > BATCH_BYTES_MAX;
        if is_full {
            self.put(advice)?;
        }
        self.bytes += bytes;
        self.batch.push(parcel);
        Ok(())
    }

    /// Sends what there is. What the sink refuses for good is set aside, by itself.
    fn put(&mut self, advice: &str) -> Result<(), Box<dyn Error>> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        // One by itself is offered once.
        if batch.is_empty() || batch.len() > 1 && self.offer(&batch, advice)?.is_none() {
            return Ok(());
        }
        for parcel in batch.chunks(1) {
            if let Some(reason) = self.offer(parcel, advice)? {
                let added = self.aside.add(&parcel[0], &reason);
                added.map_err(|error| {
                    format!("after {} events: {}; {advice}", self.sent, Chain(&error))
                })?;
                self.set_aside += 1;
                self.bar
                    .println(format!("refused: {}: {reason}", parcel[0].id));
            }
        }
        Ok(())
    }

    /// Puts a batch, again and again if the sink is in trouble; tells why it refuses it for good.
    fn offer(&mut self, batch: &[Parcel], advice: &str) -> Result<Option<String>, Box<dyn Error>> {
        let (mut batch, mut attempt) = (batch, 0);
        loop {
            attempt += 1;
            match self.runtime.block_on(self.sink.put(batch.to_vec())) {
                Ok(()) => break,
                Err(PutError::Partly { taken, error }) => {
                    let why = Chain(&*error).to_string();
                    self.bar.println(format!("going on behind {taken}: {why}"));
                    (batch, attempt) = (&batch[taken..], 0);
                    self.sent += taken as u64;
                    std::thread::sleep(WAIT);
                }
                Err(PutError::Refused(error)) => return Ok(Some(Chain(&*error).to_string())),
                Err(PutError::Trouble(error)) if attempt < TRIES => {
                    let why = Chain(&*error).to_string();
                    self.bar.println(format!("trying again: {why}"));
                    std::thread::sleep(WAIT);
                }
                Err(PutError::Trouble(error)) => {
                    let (sent, why) = (self.sent, Chain(&*error));
                    return Err(format!("after {sent} events: {why}; {advice}").into());
                }
            }
        }
        self.sent += batch.len() as u64;
        Ok(None)
    }
}
