//! A webhook's receiver: a real listener that can be well, ill, slow, rude or picky.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What requests are signed with.
pub(crate) const SECRET: &str = "whsec";

/// How it takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Takes everything.
    Well,
    /// Answers 500.
    Ill,
    /// Never answers.
    Slow,
    /// Answers what is no HTTP.
    Rude,
    /// Hangs up.
    Gone,
    /// Answers 422 to whatever has the word "poison" in it.
    Picky,
    /// Answers the same to that, and 500 to "later" when it comes without it.
    Wavering,
}

/// See the module.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    mood: Mood,
    events: Vec<Value>,
    asked: usize,
}

impl Receiver {
    pub(crate) async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Inner {
            mood,
            events: Vec::new(),
            asked: 0,
        };
        let inner = Arc::new(Mutex::new(inner));
        let shared = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, inner }
    }

    /// The section of a stream that posts here.
    pub(crate) fn section(&self, timeout_ms: u64) -> String {
        format!(
            "[streams.hook]\ntype = \"http\"\nurl = \"http://{}/in?a=b\"\nsecret = \"{SECRET}\"\n\
             batch_events = 7\ntimeout_ms = {timeout_ms}\n",
            self.address
        )
    }

    pub(crate) fn be(&self, mood: Mood) {
        self.inner.lock().unwrap().mood = mood;
    }

    /// The events that it took.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.inner.lock().unwrap().events.clone()
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.inner.lock().unwrap().asked
    }
}

async fn serve(mut stream: TcpStream, inner: Arc<Mutex<Inner>>) {
    let mut bytes = Vec::new();
    loop {
        let Some((head, body)) = request(&mut stream, &mut bytes).await else {
            return;
        };
        check(&head, &body);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["stream"], "hook");
        let mood = {
            let mut inner = inner.lock().unwrap();
            inner.asked += 1;
            inner.mood
        };
        let refuses = body.to_string().contains("poison");
        let waits = body.to_string().contains("later");
        let answer = match mood {
            Mood::Picky | Mood::Wavering if refuses => {
                "HTTP/1.1 422 No\r\nContent-Length: 7\r\n\r\npoison!"
            }
            Mood::Wavering if waits => "HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n",
            Mood::Well | Mood::Picky | Mood::Wavering => {
                let events = body["events"].as_array().unwrap().clone();
                assert!((1..=7).contains(&events.len()));
                inner.lock().unwrap().events.extend(events);
                "HTTP/1.1 204 Taken\r\n\r\n"
            }
            Mood::Ill => "HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n",
            Mood::Rude => "what do you want\r\n\r\n",
            Mood::Gone => return,
            Mood::Slow => {
                // Until the other side hangs up.
                let _ = stream.read(&mut [0; 1]).await;
                return;
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() || mood == Mood::Rude {
            return;
        }
    }
}

/// The next request: head and body.
async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = header(&head, "content-length").parse::<usize>().unwrap();
            while bytes.len() < end + 4 + length {
                more(stream, bytes).await?;
            }
            let rest = bytes.split_off(end + 4 + length);
            let body = bytes.split_off(end + 4);
            *bytes = rest;
            return Some((head, body));
        }
        more(stream, bytes).await?;
    }
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    matches!(stream.read_buf(bytes).await, Ok(1..)).then_some(())
}

/// Panics unless the request is what was promised, and signed.
fn check(head: &str, body: &[u8]) {
    assert!(head.starts_with("POST /in?a=b HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(head, "content-type"), "application/json");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(header(head, "x-syncline-timestamp").as_bytes());
    mac.update(b".");
    mac.update(body);
    let digits: Vec<String> = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let expected = format!("v1={}", digits.concat());
    assert_eq!(header(head, "x-syncline-signature"), expected);
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let found = head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    });
    found.unwrap_or_else(|| panic!("no {name} in {head}"))
}
