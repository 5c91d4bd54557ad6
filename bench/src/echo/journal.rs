//! A log behind the echo: what comes while one sync runs shares the next.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::oneshot;

use crate::failure::Result;
use crate::raw::{Tape, frame_of, seal};

/// A frame, and who waits until it is durable.
type Waiting = (Vec<u8>, oneshot::Sender<()>);

/// The way to the thread that writes.
#[derive(Clone)]
pub struct Journal(Sender<Waiting>);

impl Journal {
    /// Makes the file and starts the thread.
    pub fn open(path: &Path) -> Result<Self> {
        let tape = Tape::new(path)?;
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            if let Err(failure) = write(tape, &receiver) {
                eprintln!("syncline-bench echo: {failure}");
                std::process::exit(1);
            }
        });
        Ok(Self(sender))
    }

    /// Returns when the bytes are durable.
    pub async fn append(&self, bytes: &[u8]) {
        let (done, durable) = oneshot::channel();
        // The thread ends only with the process.
        let _ = self.0.send((frame_of(bytes), done));
        let _ = durable.await;
    }
}

fn write(mut tape: Tape, waiting: &Receiver<Waiting>) -> Result<()> {
    let mut next = 0;
    while let Ok(first) = waiting.recv() {
        let (mut frames, mut done, begun) = (Vec::new(), Vec::new(), next);
        for (mut frame, sender) in std::iter::once(first).chain(waiting.try_iter()) {
            seal(&mut frame, next);
            next += 1;
            frames.extend_from_slice(&frame);
            done.push(sender);
        }
        tape.append(&frames, begun)?;
        for sender in done {
            // Whoever left does not want to know.
            let _ = sender.send(());
        }
    }
    Ok(())
}
