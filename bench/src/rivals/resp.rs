//! One connection of a lean client of Redis's protocol: one command at a time, so that as little of
//! the machine goes to this client as to the one that speaks HTTP.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::{Result, fail};

/// A reply larger than this is not one of ours.
const REPLY_BYTES_MAX: usize = 16 << 20;
/// Lists within lists; ours have none.
const DEPTH_MAX: usize = 4;

/// An open connection.
pub struct Resp {
    stream: TcpStream,
    /// What was received and not consumed.
    received: Vec<u8>,
    sent: Vec<u8>,
}

/// An answer that is no error.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    Nothing,
    Number(i64),
    Text(String),
    List(Vec<Reply>),
}

/// A reply, or the text of an error.
type Answer = std::result::Result<Reply, String>;

impl Resp {
    pub async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
            sent: Vec::new(),
        })
    }

    /// Sends a command and waits for its reply.
    pub async fn call(&mut self, parts: &[&str]) -> Result<Reply> {
        self.sent.clear();
        self.sent
            .extend_from_slice(format!("*{}\r\n", parts.len()).as_bytes());
        for part in parts {
            self.sent
                .extend_from_slice(format!("${}\r\n{part}\r\n", part.len()).as_bytes());
        }
        self.stream.write_all(&self.sent).await?;
        loop {
            if let Some((answer, used)) = parse(&self.received, DEPTH_MAX)? {
                self.received.drain(..used);
                return answer.map_err(|error| format!("Redis answered {error}").into());
            }
            if self.received.len() > REPLY_BYTES_MAX {
                return fail("a reply of Redis is too large");
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return fail("Redis closed a connection");
            }
        }
    }
}

impl Reply {
    pub fn text(self) -> Result<String> {
        match self {
            Self::Text(text) => Ok(text),
            other => fail(format!("Redis answered {other:?}, which is no text")),
        }
    }

    /// A number, also one that is spelled as text.
    pub fn number(self) -> Result<u64> {
        match self {
            Self::Number(number) => Ok(u64::try_from(number)?),
            other => Ok(other.text()?.parse()?),
        }
    }

    pub fn list(self) -> Result<Vec<Self>> {
        match self {
            Self::List(replies) => Ok(replies),
            other => fail(format!("Redis answered {other:?}, which is no list")),
        }
    }
}

/// The reply at the start of what was received and its length, once all of it is there.
fn parse(bytes: &[u8], depth: usize) -> Result<Option<(Answer, usize)>> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
        return Ok(None);
    };
    let line = std::str::from_utf8(&bytes[..end])?;
    let Some((kind, rest)) = line.split_at_checked(1) else {
        return fail("a reply of Redis is empty");
    };
    let mut used = end + 2;
    let reply = match kind {
        "+" => Reply::Text(rest.to_owned()),
        "-" => return Ok(Some((Err(rest.to_owned()), used))),
        ":" => Reply::Number(rest.parse()?),
        "$" | "*" if rest == "-1" => Reply::Nothing,
        "$" => {
            let length: usize = rest.parse()?;
            let Some(text) = bytes.get(used..used.saturating_add(length)) else {
                return Ok(None);
            };
            used += length + 2;
            if bytes.len() < used {
                return Ok(None);
            }
            Reply::Text(std::str::from_utf8(text)?.to_owned())
        }
        "*" if depth > 0 => {
            let mut replies = Vec::new();
            for _ in 0..rest.parse::<usize>()? {
                let Some((answer, length)) = parse(&bytes[used..], depth - 1)? else {
                    return Ok(None);
                };
                used += length;
                match answer {
                    Ok(reply) => replies.push(reply),
                    Err(error) => return Ok(Some((Err(error), used))),
                }
            }
            Reply::List(replies)
        }
        _ => return fail(format!("a reply of Redis begins with {line:?}")),
    };
    Ok(Some((Ok(reply), used)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_once_it_is_whole() {
        let whole = b"*4\r\n$5\r\nlevel\r\n:7\r\n$-1\r\n+OK\r\n";
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length], DEPTH_MAX).unwrap(), None);
        }
        let text = |text: &str| Reply::Text(text.to_owned());
        let list = vec![text("level"), Reply::Number(7), Reply::Nothing, text("OK")];
        let behind = [&whole[..], b":1\r\n"].concat();
        assert_eq!(
            parse(&behind, DEPTH_MAX).unwrap(),
            Some((Ok(Reply::List(list)), whole.len()))
        );
    }

    #[test]
    fn an_error_is_told_and_nonsense_is_refused() {
        let error = parse(b"-CONFLICT at 4\r\n", DEPTH_MAX).unwrap();
        assert_eq!(error, Some((Err("CONFLICT at 4".to_owned()), 16)));
        assert!(parse(b"HTTP/1.1 200 OK\r\n", DEPTH_MAX).is_err());
        assert!(parse(b"$x\r\n", DEPTH_MAX).is_err());
        assert!(parse(&b"*1\r\n".repeat(9), DEPTH_MAX).is_err());
    }
}
