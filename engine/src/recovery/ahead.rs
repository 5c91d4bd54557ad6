//! Frames are read, verified and decoded ahead of whoever applies them: of a long log in a thread
//! of their own, so that a second processor has its part in opening a store.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use crate::commit::Commit;
use crate::error::Fault;
use crate::frame::Header;
use crate::scan::{Assembly, Scan};
use crate::segment::NoFrame;
use crate::types::Locations;

/// Frames of a batch, and bytes of them behind which none begins. What is shorter than one batch
/// is not worth a thread.
const BATCH_FRAMES: usize = 512;
const BATCH_BYTES: u32 = 1 << 20;
/// Batches that may wait to be applied.
const BATCHES: usize = 2;

/// A frame that holds.
pub(super) struct Read {
    pub(super) header: Header,
    /// The checksum of the header.
    pub(super) checksum: u32,
    /// Where it begins and ends.
    pub(super) offset: u32,
    pub(super) end: u32,
    /// The part that is missing next of a commit that began with it or before.
    pub(super) expected_part: u16,
    /// The commit of which this is the last part, and where its changes lie. Its fault comes
    /// behind those of the frame itself.
    pub(super) commit: Result<Option<(Commit, Locations)>, Fault>,
}

/// Where frames stop, and why.
pub(super) struct Stop {
    pub(super) scan: Scan,
    pub(super) why: NoFrame,
}

/// Reads frames in batches.
struct Reading {
    scan: Scan,
    assembly: Assembly,
}

/// Frames in order, and why there are no more if so.
struct Batch {
    frames: Vec<Read>,
    end: Option<Result<NoFrame, Fault>>,
}

/// Hands every frame of a segment over in order, up to where they stop or one is refused.
pub(super) fn each_frame(
    scan: Scan,
    mut take: impl FnMut(Read) -> Result<(), Fault>,
) -> Result<Stop, Fault> {
    let mut reading = Reading {
        scan,
        assembly: Assembly::default(),
    };
    let mut take_all = |batch: Batch| {
        batch.frames.into_iter().try_for_each(&mut take)?;
        batch.end.transpose()
    };
    let mut stopped = take_all(reading.batch())?;
    if stopped.is_none() {
        let (sender, batches) = mpsc::sync_channel(BATCHES);
        stopped = thread::scope(|scope| {
            let reader = &mut reading;
            scope.spawn(move || reader.send_all(&sender));
            take_until_stopped(batches, take_all)
        })?;
    }
    let why = stopped.expect("reading ends only where frames stop");
    let scan = reading.scan;
    Ok(Stop { scan, why })
}

/// Lets go of the batches as it returns, so that the reader ends, too.
fn take_until_stopped(
    batches: Receiver<Batch>,
    mut take_all: impl FnMut(Batch) -> Result<Option<NoFrame>, Fault>,
) -> Result<Option<NoFrame>, Fault> {
    for batch in batches {
        let stopped = take_all(batch)?;
        if stopped.is_some() {
            return Ok(stopped);
        }
    }
    Ok(None)
}

impl Reading {
    fn send_all(&mut self, batches: &SyncSender<Batch>) {
        loop {
            let batch = self.batch();
            let ended = batch.end.is_some();
            // Nobody takes it if a frame before was refused.
            if batches.send(batch).is_err() || ended {
                return;
            }
        }
    }

    fn batch(&mut self) -> Batch {
        let number = self.scan.segment().header.number;
        let from = self.scan.offset();
        let mut frames = Vec::with_capacity(BATCH_FRAMES);
        while frames.len() < BATCH_FRAMES && self.scan.offset() - from < BATCH_BYTES {
            let offset = self.scan.offset();
            let frame = match self.scan.next() {
                Ok(Ok(frame)) => frame,
                Ok(Err(why)) => return Batch::last(frames, Ok(why)),
                Err(fault) => return Batch::last(frames, Err(fault)),
            };
            let commit = self.assembly.add(number, offset, &frame);
            let failed = commit.as_ref().err().cloned();
            frames.push(Read {
                header: frame.header,
                checksum: frame.checksum,
                offset,
                end: self.scan.offset(),
                expected_part: self.assembly.expected_part(),
                commit,
            });
            if let Some(fault) = failed {
                return Batch::last(frames, Err(fault));
            }
        }
        Batch { frames, end: None }
    }
}

impl Batch {
    fn last(frames: Vec<Read>, end: Result<NoFrame, Fault>) -> Self {
        let end = Some(end);
        Self { frames, end }
    }
}
