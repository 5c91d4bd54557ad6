//! A stream that gives up on peers that stall.
//!
//! Clocks run one at a time on the reading side: *header* from the first byte of a request to the
//! end of its headers, *idle* while an answer is sent that has no end, and none while the service
//! has the request, which bounds its body by itself. Between requests a connection becomes quiet
//! after a while, which is no failure: whoever serves it sees that and gives back what it takes.
//! On the writing side a peer that takes nothing for the idle time is given up.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::config::TimeoutsConfig;

/// Where a connection is. The service and the stream tell each other; both run in one task.
///
/// The phase is in the low bits; above them every change counts, so that the second header of a
/// connection is not timed by the clock of the first.
#[derive(Debug)]
pub(super) struct Pace(AtomicU64);

/// Bits of a phase.
const PHASE_BITS: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Between requests, or an answer is on its way that the library has all of.
    Idle = 0,
    Header = 1,
    Serving = 2,
    /// An answer is on its way that comes bit by bit.
    Sending = 3,
    /// Idle for so long that it may stay so.
    Quiet = 4,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(Phase::Idle as u64))
    }

    /// The headers of a request are complete.
    pub(super) fn request_came(&self) {
        self.set(Phase::Serving);
    }

    /// Its answer is ready to be sent; `whole`: all of it, and not bit by bit.
    pub(super) fn request_done(&self, whole: bool) {
        self.set(if whole { Phase::Idle } else { Phase::Sending });
    }

    /// Whether nothing came and nothing was left to be sent for a while.
    pub(super) fn is_quiet(&self) -> bool {
        self.now().1 == Phase::Quiet
    }

    fn set(&self, phase: Phase) {
        let changes = (self.now().0 >> PHASE_BITS) + 1;
        let changed = changes << PHASE_BITS | phase as u64;
        self.0.store(changed, Ordering::Relaxed);
    }

    fn now(&self) -> (u64, Phase) {
        let now = self.0.load(Ordering::Relaxed);
        let phase = match now & ((1 << PHASE_BITS) - 1) {
            0 => Phase::Idle,
            1 => Phase::Header,
            2 => Phase::Serving,
            3 => Phase::Sending,
            _ => Phase::Quiet,
        };
        (now, phase)
    }
}

/// A stream under the clocks.
pub(super) struct Paced<S> {
    stream: S,
    /// What was read of it before and is to be read once more.
    ahead: Bytes,
    pace: Arc<Pace>,
    timeouts: TimeoutsConfig,
    /// How long it is idle before it is quiet.
    quiet: Duration,
    reading: Clock,
    /// What the reading clock was started for; `None`: it must be started anew.
    timed: Option<u64>,
    writing: Clock,
}

impl<S> Paced<S> {
    pub(super) fn new(
        stream: S,
        ahead: Bytes,
        pace: Arc<Pace>,
        timeouts: TimeoutsConfig,
        quiet: Duration,
    ) -> Self {
        let (reading, writing) = (Clock::default(), Clock::default());
        Self {
            stream,
            ahead,
            pace,
            timeouts,
            quiet: quiet.min(timeouts.idle()),
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
        if !matches!(self.pace.now().1, Phase::Header | Phase::Serving) {
            self.pace.set(Phase::Header);
        }
    }

    /// Nothing to read: is it time to give up, or to be quiet?
    fn poll_reading_clock(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (now, phase) = self.pace.now();
        if self.timed != Some(now) {
            self.timed = Some(now);
            match phase {
                Phase::Idle => self.reading.start(self.quiet),
                Phase::Header => self.reading.start(self.timeouts.header()),
                Phase::Sending => self.reading.start(self.timeouts.idle()),
                Phase::Serving | Phase::Quiet => self.reading.stop(),
            }
        }
        let over = ready!(self.reading.poll(task, "no whole request in time"));
        if phase != Phase::Idle {
            return Poll::Ready(over);
        }
        self.reading.stop();
        // What is left to be sent has a clock of its own, and starts this one again.
        if !self.writing.runs {
            self.pace.set(Phase::Quiet);
        }
        Poll::Pending
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

    /// A peer that takes its answer is not idle, however long the answer. The clock must be
    /// started here: whoever reads from us knows that nothing came and need not ask again.
    fn has_written(&mut self, task: &mut Context<'_>) {
        if matches!(self.pace.now().1, Phase::Idle | Phase::Sending) {
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
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(length));
            self.has_read();
            return Poll::Ready(Ok(()));
        }
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const QUIET: Duration = Duration::from_millis(1);

    fn paced(bytes: usize) -> (Paced<DuplexStream>, Arc<Pace>, DuplexStream) {
        let timeouts = TimeoutsConfig {
            idle_ms: 20,
            ..TimeoutsConfig::default()
        };
        let (here, there) = duplex(bytes);
        let pace = Arc::new(Pace::new());
        let paced = Paced::new(here, Bytes::new(), Arc::clone(&pace), timeouts, QUIET);
        (paced, pace, there)
    }

    /// Reads, in vain.
    fn nothing_comes(paced: &mut Paced<DuplexStream>, task: &mut Context<'_>) {
        let mut byte = [0];
        let read = Pin::new(paced).poll_read(task, &mut ReadBuf::new(&mut byte));
        assert!(read.is_pending());
    }

    #[tokio::test]
    async fn between_requests_it_becomes_quiet_and_a_byte_ends_that() {
        let (mut paced, pace, mut there) = paced(64);
        pace.request_came();
        pace.request_done(true);
        poll_fn(|task| {
            nothing_comes(&mut paced, task);
            match pace.is_quiet() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        there.write_all(b"G").await.unwrap();
        assert_eq!(paced.read(&mut [0]).await.unwrap(), 1);
        assert!(!pace.is_quiet());
    }

    #[tokio::test]
    async fn an_answer_that_comes_bit_by_bit_is_not_quiet_but_given_up() {
        let (mut paced, pace, _there) = paced(64);
        pace.request_came();
        pace.request_done(false);
        let error = paced.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(!pace.is_quiet());
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_is_not_quiet_but_given_up() {
        let (mut paced, pace, _there) = paced(4);
        pace.request_came();
        pace.request_done(true);
        let error = poll_fn(|task| {
            nothing_comes(&mut paced, task);
            loop {
                match ready!(Pin::new(&mut paced).poll_write(task, b"answer")) {
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(error),
                }
            }
        })
        .await;
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(!pace.is_quiet());
    }
}
