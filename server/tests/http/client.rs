//! A connection that sends bytes as they are and reads answers as they come.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::signer::Signer;

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers, as they were on the socket.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            unread: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a whole request and reads its answer.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).await;
        self.answer().await
    }

    /// Sends a request with the headers of a signature, and reads its answer.
    pub(crate) async fn signed(
        &mut self,
        signer: &Signer<'_>,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut headers = headers.to_vec();
        headers.push(("Host", "syncline.test"));
        let signature = signer.sign(method, target, &headers, body);
        headers.extend(
            signature
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let mut request = format!("{method} {target} HTTP/1.1\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        self.ask([request.as_bytes(), body].concat()).await
    }

    /// Calls an operation of Cognito Identity.
    pub(crate) async fn identity(
        &mut self,
        signer: &Signer<'_>,
        operation: &str,
        body: &serde_json::Value,
    ) -> Answer {
        let target = format!("AWSCognitoIdentityService.{operation}");
        let headers = [("X-Amz-Target", target.as_str())];
        self.signed(signer, "POST", "/", &headers, body.to_string().as_bytes())
            .await
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.unread.split_off(end + 4);
                break String::from_utf8(std::mem::replace(&mut self.unread, rest)).unwrap();
            }
            assert!(
                self.more().await,
                "closed after {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        };
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        let length = answer
            .header("content-length")
            .map_or(0, |text| text.parse().unwrap());
        while self.unread.len() < length {
            assert!(self.more().await, "closed within a body");
        }
        let rest = self.unread.split_off(length);
        answer.body = std::mem::replace(&mut self.unread, rest);
        answer
    }

    /// The next chunk of a body that comes in chunks; empty at its end.
    pub(crate) async fn chunk(&mut self) -> Vec<u8> {
        let (start, length) = loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") {
                let digits = std::str::from_utf8(&self.unread[..end]).unwrap();
                break (end + 2, usize::from_str_radix(digits, 16).unwrap());
            }
            assert!(self.more().await, "closed before a chunk");
        };
        while self.unread.len() < start + length + 2 {
            assert!(self.more().await, "closed within a chunk");
        }
        let rest = self.unread.split_off(start + length + 2);
        let chunk = std::mem::replace(&mut self.unread, rest);
        chunk[start..start + length].to_vec()
    }

    /// Waits for the end of the connection; panics if something else comes.
    pub(crate) async fn closed(&mut self) {
        let more = self.more().await;
        assert!(
            !more,
            "not closed: {:?}",
            String::from_utf8_lossy(&self.unread)
        );
    }

    /// Reads and forgets whatever comes until the end of the connection.
    pub(crate) async fn drain(&mut self) {
        while self.more().await {
            self.unread.clear();
        }
    }

    /// Reads what comes next; false at the end, whether orderly or not.
    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.unread).await, Ok(1..))
    }
}

impl Answer {
    /// A header by its name in any spelling.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Panics unless the head has this line, in this spelling.
    pub(crate) fn has(&self, line: &str) {
        assert!(
            self.head.lines().any(|found| found == line),
            "no {line:?} in\n{}",
            self.head
        );
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Panics unless this is an exception of that status and name; returns its message.
    pub(crate) fn exception(&self, status: u16, name: &str) -> String {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text());
        self.has(&format!("x-amzn-ErrorType: {name}:"));
        let body = self.json();
        assert_eq!(body["__type"], name);
        assert_eq!(body["message"], body["Message"]);
        body["message"].as_str().unwrap().to_owned()
    }
}
