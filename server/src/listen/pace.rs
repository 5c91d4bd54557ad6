//! A stream that gives up on peers that stall.
//!
//! Three clocks, one at a time on the reading side: *idle* between requests, *header* from the
//! first byte of a request to the end of its headers, and none while the service has the request,
//! which bounds its body by itself. On the writing side a peer that takes nothing for the idle
//! time is given up.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::config::TimeoutsConfig;

/// Where a connection is. The service and the stream tell each other; both run in one task.
///
/// The phase is in the two low bits; above them every change counts, so that the second header
/// of a connection is not timed by the clock of the first.
#[derive(Debug)]
pub(super) struct Pace(AtomicU64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle = 0,
    Header = 1,
    Serving = 2,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(Phase::Idle as u64))
    }

    /// The headers of a request are complete.
    pub(super) fn request_came(&self) {
        self.set(Phase::Serving);
    }

    /// Its answer is ready to be sent.
    pub(super) fn request_done(&self) {
        self.set(Phase::Idle);
    }

    fn set(&self, phase: Phase) {
        let changes = (self.now().0 >> 2) + 1;
        self.0.store(changes << 2 | phase as u64, Ordering::Relaxed);
    }

    fn now(&self) -> (u64, Phase) {
        let now = self.0.load(Ordering::Relaxed);
        let phase = match now & 3 {
            0 => Phase::Idle,
            1 => Phase::Header,
            _ => Phase::Serving,
        };
        (now, phase)
    }
}

/// A stream under the clocks.
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    timeouts: TimeoutsConfig,
    reading: Clock,
    /// What the reading clock was started for; `None`: it must be started anew.
    timed: Option<u64>,
    writing: Clock,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Arc<Pace>, timeouts: TimeoutsConfig) -> Self {
        let (reading, writing) = (Clock::default(), Clock::default());
        Self {
            stream,
            pace,
            timeouts,
            reading,
            timed: None,
            writing,
        }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Something was read: a first byte starts a request.
    fn has_read(&mut self) {
        if self.pace.now().1 == Phase::Idle {
            self.pace.set(Phase::Header);
        }
    }

    /// Nothing to read: is it time to give up?
    fn poll_reading_clock(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (now, phase) = self.pace.now();
        if self.timed != Some(now) {
            self.timed = Some(now);
            match phase {
                Phase::Idle => self.reading.start(self.timeouts.idle()),
                Phase::Header => self.reading.start(self.timeouts.header()),
                Phase::Serving => self.reading.stop(),
            }
        }
        self.reading.poll(task, "no whole request in time")
    }

    fn on_write<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        task: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_pending() {
            if !self.writing.runs {
                self.writing.start(self.timeouts.idle());
            }
            ready!(self.writing.poll(task, "the answer is not taken"))?;
            return Poll::Pending;
        }
        self.writing.stop();
        written
    }

    /// A peer that takes its answer is not idle, however long the answer. The idle clock must be
    /// started here: whoever reads from us knows that nothing came and need not ask again.
    fn has_written(&mut self, task: &mut Context<'_>) {
        if self.pace.now().1 == Phase::Idle {
            self.timed = None;
            // Only to be woken; time that is over already is told to the next read.
            let _ = self.poll_reading_clock(task);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(task, buffer) {
            Poll::Pending => self.poll_reading_clock(task),
            ready => {
                if buffer.filled().len() > before {
                    self.has_read();
                }
                ready
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(task, bytes);
        if written.is_ready() {
            self.has_written(task);
        }
        self.on_write(written, task)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(task, slices);
        if written.is_ready() {
            self.has_written(task);
        }
        self.on_write(written, task)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(task);
        self.on_write(flushed, task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

/// A timer that is allocated when first needed and then used again.
#[derive(Default)]
struct Clock {
    sleep: Option<Pin<Box<Sleep>>>,
    runs: bool,
}

impl Clock {
    fn start(&mut self, duration: Duration) {
        self.runs = true;
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(Instant::now() + duration),
            None => self.sleep = Some(Box::pin(sleep(duration))),
        }
    }

    fn stop(&mut self) {
        self.runs = false;
    }

    fn poll(&mut self, task: &mut Context<'_>, why: &'static str) -> Poll<io::Result<()>> {
        match &mut self.sleep {
            Some(sleep) if self.runs => {
                ready!(sleep.as_mut().poll(task));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
            }
            _ => Poll::Pending,
        }
    }
}
