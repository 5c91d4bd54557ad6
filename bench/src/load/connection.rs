//! One keep-alive connection of a lean HTTP/1.1 client: it knows only what this benchmark's
//! servers answer, so that little of the machine goes to the client.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::signature::{Request, Signer};
use crate::failure::{Result, fail};

/// An answer larger than this is not one of ours.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    host: String,
    /// What was received and not consumed.
    buffer: Vec<u8>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// Header block included.
    pub bytes: usize,
}

/// What the header block of an answer says.
struct Head {
    status: u16,
    /// Bytes of the block.
    length: usize,
    body: usize,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: address.to_string(),
            buffer: Vec::new(),
        })
    }

    /// Signs and sends a request and waits for all of its answer.
    pub async fn call(&mut self, request: &Request<'_>, signer: &mut Signer) -> Result<Answer> {
        let bytes = signer.seal(request, &self.host)?;
        self.stream.write_all(&bytes).await?;
        loop {
            if let Some(head) = head(&self.buffer)? {
                let end = head.length + head.body;
                if self.buffer.len() >= end {
                    let body = self.buffer[head.length..end].to_vec();
                    self.buffer.drain(..end);
                    return Ok(Answer {
                        status: head.status,
                        body,
                        bytes: end,
                    });
                }
            }
            if self.buffer.len() > ANSWER_BYTES_MAX {
                return fail("an answer is too large");
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return fail("the server closed a connection");
            }
        }
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<serde_json::Value> {
        if self.status != 200 {
            return fail(format!(
                "the server answered {}: {}",
                self.status,
                self.text()
            ));
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// The header block at the start of what was received, once all of it is there.
fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end])?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3));
    let status = status.ok_or("an answer is not HTTP/1.1")?.parse()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim())
    });
    let body = length.ok_or("an answer does not say its length")?.parse()?;
    Ok(Some(Head {
        status,
        length: end + 4,
        body,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 409 Conflict\r\nContent-Length: 12\r\nDate: x\r\n\r\nbody";
        assert!(head(&whole[..whole.len() - 6]).unwrap().is_none());
        let head = head(whole).unwrap().unwrap();
        assert_eq!(
            (head.status, head.length, head.body),
            (409, whole.len() - 4, 12)
        );
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(head(b"SSH-2.0\r\n\r\n").is_err());
    }
}
