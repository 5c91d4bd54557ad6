//! One event stream: a connection on which counts of a dataset arrive.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;

use super::delay::Arrival;
use crate::failure::{Result, fail};
use crate::load::Account;

/// What stands before a count.
const COUNT: &[u8] = b"\"syncCount\":";

pub struct Stream {
    dataset: usize,
    stream: TcpStream,
    /// What was received and not understood yet.
    buffer: Vec<u8>,
}

impl Stream {
    /// Opens a stream and waits for where its dataset is, so that it is known to listen.
    pub async fn open(account: &Account, dataset: usize) -> Result<Self> {
        let mut stream = TcpStream::connect(account.address).await?;
        stream.set_nodelay(true)?;
        let request = account.events(dataset);
        let bytes = account
            .signer()
            .seal(&request, &account.address.to_string())?;
        stream.write_all(&bytes).await?;
        let mut opened = Self {
            dataset,
            stream,
            buffer: Vec::new(),
        };
        opened.next().await?;
        opened.buffer.shrink_to(512);
        Ok(opened)
    }

    /// Tells of every count that comes. Ends when the stream does, or nobody wants to know.
    pub async fn tell(mut self, tell: UnboundedSender<Arrival>) {
        while let Ok(sync_count) = self.next().await {
            let arrival = Arrival {
                dataset: self.dataset,
                sync_count,
                at: Instant::now(),
            };
            if tell.send(arrival).is_err() {
                return;
            }
        }
    }

    async fn next(&mut self) -> Result<u64> {
        loop {
            if let Some(count) = take_count(&mut self.buffer) {
                return Ok(count);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                let said = String::from_utf8_lossy(&self.buffer).into_owned();
                return fail(format!("a stream ended: {said}"));
            }
            if !self.buffer.starts_with(b"HTTP/1.1 200") && self.buffer.starts_with(b"HTTP/") {
                let said = String::from_utf8_lossy(&self.buffer).into_owned();
                return fail(format!("a stream was refused: {said}"));
            }
        }
    }
}

/// The next count of what was received, once its last digit is known; what is before it goes.
fn take_count(buffer: &mut Vec<u8>) -> Option<u64> {
    let place = buffer.windows(COUNT.len()).position(|some| some == COUNT)?;
    let digits = &buffer[place + COUNT.len()..];
    let length = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    let count = std::str::from_utf8(&digits[..length]).ok()?.parse().ok()?;
    buffer.drain(..place + COUNT.len() + length);
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_taken_once_they_are_whole() {
        let mut buffer = b"HTTP/1.1 200 OK\r\n\r\n4c\r\ndata: {\"a\":1,\"syncCount\":12".to_vec();
        assert_eq!(take_count(&mut buffer), None);
        buffer.extend_from_slice(b"3}\n\n\r\n5\r\n:\n\ndata: {\"syncCount\":4}");
        assert_eq!(take_count(&mut buffer), Some(123));
        assert_eq!(take_count(&mut buffer), Some(4));
        assert_eq!(take_count(&mut buffer), None);
    }
}
