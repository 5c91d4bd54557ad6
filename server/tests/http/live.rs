//! Live updates: streams of events, and listings that wait.

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::presigned::presign;
use crate::server::Server;
use crate::signed::{Guest, developer, now};
use crate::signer::Signer;

/// A stream of events on a connection of its own.
struct Stream {
    client: Client,
    unread: String,
}

/// The lines of one event by their names, `data` as JSON.
#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

impl Stream {
    async fn open(server: &Server, signer: &Signer<'_>, target: &str) -> Self {
        Self::open_after(server, signer, target, "").await
    }

    /// As a client comes back that has seen an event.
    async fn open_after(server: &Server, signer: &Signer<'_>, target: &str, id: &str) -> Self {
        let mut client = server.client().await;
        let headers = [("Last-Event-ID", id)];
        let headers = if id.is_empty() { &[][..] } else { &headers };
        let answer = client.signed(signer, "GET", target, headers, b"").await;
        Self::of(client, &answer).await
    }

    async fn of(client: Client, answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.has("Content-Type: text/event-stream");
        answer.has("Cache-Control: no-store");
        answer.has("Access-Control-Allow-Origin: *");
        let mut stream = Self {
            client,
            unread: String::new(),
        };
        let first = stream.block().await.unwrap();
        assert!(first.starts_with("retry: "), "{first}");
        stream
    }

    /// The lines up to the next empty one; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.unread.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.unread = rest;
                return Some(block);
            }
            let chunk = self.client.chunk().await;
            if chunk.is_empty() {
                assert_eq!(self.unread, "");
                return None;
            }
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn event(&mut self) -> Event {
        loop {
            let block = self.block().await.expect("the stream ended");
            if block == ":" {
                continue;
            }
            let line = |name: &str| {
                let found = block.lines().find_map(|line| line.strip_prefix(name));
                found.map(str::to_owned)
            };
            return Event {
                name: line("event: ").unwrap(),
                id: line("id: "),
                data: serde_json::from_str(&line("data: ").unwrap()).unwrap(),
            };
        }
    }

    /// The next event is of a dataset; returns its name, count and whether it exists.
    async fn dataset(&mut self) -> Value {
        let event = self.event().await;
        assert_eq!(event.name, "dataset", "{event:?}");
        let data = event.data;
        json!([
            data["datasetName"],
            data["syncCount"],
            data["datasetExists"]
        ])
    }

    /// The next event has the names of all datasets.
    async fn list(&mut self) -> Value {
        let event = self.event().await;
        assert_eq!(event.name, "datasets", "{event:?}");
        assert!(event.id.is_some());
        event.data["datasetNames"].clone()
    }

    /// The next event is the last.
    async fn end(&mut self) -> String {
        let event = self.event().await;
        assert_eq!((event.name.as_str(), &event.id), ("end", &None));
        assert_eq!(self.block().await, None);
        event.data["reason"].as_str().unwrap().to_owned()
    }
}

fn target(guest: &Guest, query: &str) -> String {
    let (pool, identity) = (
        guest.pool.replace(':', "%3A"),
        guest.identity.replace(':', "%3A"),
    );
    format!("/syncline/v1/pools/{pool}/identities/{identity}/events{query}")
}

/// Writes one record of a dataset.
async fn write(guest: &Guest, client: &mut Client, dataset: &str, count: u64) {
    let path = guest.dataset(dataset);
    let records = format!("{path}/records");
    let signer = guest.signer();
    let listed = client.signed(&signer, "GET", &records, &[], b"").await;
    let token = listed.json()["SyncSessionToken"].clone();
    let patch = json!({ "Op": "replace", "Key": "k", "Value": "v", "SyncCount": count });
    let body = json!({ "SyncSessionToken": token, "RecordPatches": [patch] }).to_string();
    let answer = client.signed(&signer, "POST", &path, &[], body.as_bytes());
    assert_eq!(answer.await.status, 200);
}

async fn delete_identity(guest: &Guest, client: &mut Client) {
    let wish = json!({ "IdentityIdsToDelete": [guest.identity] });
    let root = developer("cognito-identity");
    let answer = client.identity(&root, "DeleteIdentities", &wish).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_stream_begins_with_the_state_and_goes_on_with_what_changes() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    write(&guest, &mut client, "game", 0).await;
    let signer = guest.signer();
    let mut all = Stream::open(&server, &signer, &target(&guest, "")).await;
    let named = target(&guest, "?datasets=other%2Cgame");
    let mut some = Stream::open(&server, &signer, &named).await;
    let root = developer("cognito-sync");
    let one = target(&guest, "?datasets=game");
    let mut developers = Stream::open(&server, &root, &one).await;
    assert_eq!(all.dataset().await, json!(["game", 1, true]));
    assert_eq!(all.list().await, json!(["game"]));
    assert_eq!(developers.dataset().await, json!(["game", 1, true]));
    assert_eq!(some.dataset().await, json!(["game", 1, true]));
    assert_eq!(some.dataset().await, json!(["other", 0, false]));
    write(&guest, &mut client, "third", 0).await;
    assert_eq!(all.dataset().await, json!(["third", 1, true]));
    write(&guest, &mut client, "other", 0).await;
    assert_eq!(all.dataset().await, json!(["other", 1, true]));
    assert_eq!(some.dataset().await, json!(["other", 1, true]));
    let path = guest.dataset("game");
    let answer = client.signed(&signer, "DELETE", &path, &[], b"").await;
    assert_eq!(answer.status, 200);
    for stream in [&mut all, &mut some, &mut developers] {
        assert_eq!(stream.dataset().await, json!(["game", 2, false]));
    }
    let page = client.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        page.text().contains("\nsyncline_listeners 3\n"),
        "{}",
        page.text()
    );
}

#[tokio::test]
async fn who_comes_back_is_told_only_if_something_changed() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    for dataset in ["a", "b"] {
        write(&guest, &mut client, dataset, 0).await;
    }
    let (signer, target) = (guest.signer(), target(&guest, "?datasets=a,b"));
    let mut stream = Stream::open(&server, &signer, &target).await;
    let (one, two) = (stream.event().await, stream.event().await);
    // Whoever is cut off between the two has not seen all.
    assert_eq!(one.id, None);
    let seen = two.id.unwrap();
    let mut again = Stream::open_after(&server, &signer, &target, &seen).await;
    write(&guest, &mut client, "a", 1).await;
    let changed = again.event().await;
    assert_eq!(changed.data["syncCount"], 2);
    assert_ne!(changed.id.as_ref(), Some(&seen));
    assert_eq!(stream.event().await, changed);
    let mut behind = Stream::open_after(&server, &signer, &target, &seen).await;
    assert_eq!(behind.dataset().await, json!(["a", 2, true]));
    assert_eq!(behind.dataset().await, json!(["b", 1, true]));
    let last = changed.id.unwrap();
    let mut level = Stream::open_after(&server, &signer, &target, &last).await;
    write(&guest, &mut client, "b", 1).await;
    assert_eq!(level.dataset().await, json!(["b", 2, true]));
}

#[tokio::test]
async fn who_was_away_learns_of_what_was_deleted() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    write(&guest, &mut client, "game", 0).await;
    let (signer, target) = (guest.signer(), target(&guest, ""));
    let mut stream = Stream::open(&server, &signer, &target).await;
    // Whoever is cut off before the list has not seen all.
    assert_eq!(stream.event().await.id, None);
    let list = stream.event().await;
    assert_eq!(list.data, json!({ "datasetNames": ["game"] }));
    let path = guest.dataset("game");
    let answer = client.signed(&signer, "DELETE", &path, &[], b"").await;
    assert_eq!(answer.status, 200);
    let mut again = Stream::open_after(&server, &signer, &target, &list.id.unwrap()).await;
    let list = again.event().await;
    assert_eq!(list.data, json!({ "datasetNames": [] }));
    let mut level = Stream::open_after(&server, &signer, &target, &list.id.unwrap()).await;
    write(&guest, &mut client, "other", 0).await;
    let mut told = level.dataset().await;
    if told == json!(["game", 2, false]) {
        // What was deleted just before the stream began may be told of once more.
        told = level.dataset().await;
    }
    assert_eq!(told, json!(["other", 1, true]));
}

#[tokio::test]
async fn opening_a_stream_reads_no_dataset() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    write(&guest, &mut client, "game", 0).await;
    let server = server.restart(|_| ()).await;
    let mut client = server.client().await;
    let signer = guest.signer();
    let figure = async |client: &mut Client| {
        let page = client.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let line = |line: &str| line.starts_with("syncline_store_cache_bytes ");
        page.text().lines().find(|l| line(l)).unwrap().to_owned()
    };
    let before = figure(&mut client).await;
    for query in ["?datasets=game", ""] {
        let mut stream = Stream::open(&server, &signer, &target(&guest, query)).await;
        assert_eq!(stream.dataset().await, json!(["game", 1, true]));
    }
    assert_eq!(figure(&mut client).await, before);
    // Which a listing changes.
    guest.list(&mut client).await;
    let path = format!("{}/records", guest.dataset("game"));
    assert_eq!(
        client.signed(&signer, "GET", &path, &[], b"").await.status,
        200
    );
    assert_ne!(figure(&mut client).await, before);
}

#[tokio::test]
async fn a_stream_ends_with_its_identity_and_with_the_server() {
    let mut server = Server::start().await;
    let mut client = server.client().await;
    let (guest, other) = (Guest::new(&mut client).await, Guest::new(&mut client).await);
    let mut gone = Stream::open(&server, &guest.signer(), &target(&guest, "")).await;
    let mut left = Stream::open(&server, &other.signer(), &target(&other, "")).await;
    for stream in [&mut gone, &mut left] {
        assert_eq!(stream.list().await, json!([]));
    }
    delete_identity(&guest, &mut client).await;
    assert_eq!(gone.end().await, "forbidden");
    let (signer, root, target) = (
        guest.signer(),
        developer("cognito-sync"),
        target(&guest, ""),
    );
    let answer = client.signed(&signer, "GET", &target, &[], b"").await;
    answer.exception(403, "NotAuthorizedException");
    let answer = client.signed(&root, "GET", &target, &[], b"").await;
    answer.exception(404, "ResourceNotFoundException");
    server.stop();
    assert_eq!(left.end().await, "stopping");
    // Nobody had to be cut off.
    assert_eq!(server.ended().await, 0);
}

#[tokio::test]
async fn listeners_have_a_bound_and_names_have_a_form() {
    let server = Server::start_with(|config| config.limits.listeners = 1).await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    let signer = guest.signer();
    let mut ask = async |query: &str| {
        let target = target(&guest, query);
        client.signed(&signer, "GET", &target, &[], b"").await
    };
    ask("?datasets=a/b")
        .await
        .exception(400, "InvalidParameterException");
    ask("?datasets=a,,b")
        .await
        .exception(400, "InvalidParameterException");
    let many = vec!["d"; 101].join(",");
    let answer = ask(&format!("?datasets={many}")).await;
    answer.exception(400, "InvalidParameterException");
    let stream = Stream::open(&server, &signer, &target(&guest, "")).await;
    let answer = ask("").await;
    answer.exception(429, "TooManyRequestsException");
    answer.has("Retry-After: 10");
    drop(stream);
    // The place is free once the server has seen that the client is gone.
    while ask("?datasets=").await.status == 429 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_signature_in_the_query_opens_streams_and_nothing_else() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    write(&guest, &mut client, "game", 0).await;
    let (signer, plain) = (guest.signer(), target(&guest, "?datasets=game"));
    let unsigned = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: syncline.test\r\n\r\n");
    for signer in [signer, developer("cognito-sync")] {
        let mut own = server.client().await;
        let answer = own.ask(unsigned(&presign(&signer, &plain, 300))).await;
        let mut stream = Stream::of(own, &answer).await;
        assert_eq!(stream.dataset().await, json!(["game", 1, true]));
    }
    let good = presign(&signer, &plain, 60);
    let old = Signer {
        now: now() - 61,
        ..signer
    };
    let early = Signer {
        now: now() + 400,
        ..signer
    };
    let other_service = Signer {
        service: "cognito-identity",
        ..signer
    };
    let invalid = (403, "InvalidSignatureException");
    let incomplete = (400, "IncompleteSignatureException");
    for (target, (status, name)) in [
        (good.replace("datasets=game", "datasets=gama"), invalid),
        (
            good.replace("/events", "/events/"),
            (404, "UnknownOperationException"),
        ),
        (presign(&old, &plain, 60), invalid),
        (presign(&early, &plain, 60), invalid),
        (presign(&other_service, &plain, 60), invalid),
        (presign(&signer, &plain, 301), incomplete),
        (format!("{good}&X-Amz-Expires=60"), incomplete),
        (good.replace("X-Amz-Date", "X-Amz-Dote"), incomplete),
        (good.replace("X-Amz-Security-Token", "X-Other"), invalid),
    ] {
        client.ask(unsigned(&target)).await.exception(status, name);
    }
    let both = client.signed(&signer, "GET", &good, &[], b"").await;
    both.exception(400, "IncompleteSignatureException");
    // Anywhere else such a request is not signed at all.
    let records = presign(&signer, &format!("{}/records", guest.dataset("game")), 60);
    let answer = client.ask(unsigned(&records)).await;
    answer.exception(403, "MissingAuthenticationTokenException");
}

#[tokio::test]
async fn a_listing_waits_until_there_is_something_to_list() {
    let server = Server::start().await;
    let (mut client, mut second) = (server.client().await, server.client().await);
    let guest = Guest::new(&mut client).await;
    let signer = guest.signer();
    let listing = |query: &str| format!("{}/records?{query}", guest.dataset("game"));
    let path = listing("lastSyncCount=0&wait=20");
    let (answer, ()) = tokio::join!(
        client.signed(&signer, "GET", &path, &[], b""),
        write(&guest, &mut second, "game", 0)
    );
    let listed = answer.json();
    assert_eq!(listed["DatasetSyncCount"], 1);
    assert_eq!(listed["Records"][0]["Key"], "k");
    // What is new already is told at once, and nothing new when the time is over.
    for (query, count) in [
        ("lastSyncCount=0&wait=20", 1),
        ("lastSyncCount=1&wait=1", 0),
    ] {
        let answer = client
            .signed(&signer, "GET", &listing(query), &[], b"")
            .await;
        let listed = answer.json();
        assert_eq!(listed["Count"], count, "{query}");
        assert!(listed["SyncSessionToken"].is_string());
    }
    for query in ["wait=21", "wait=-1"] {
        let answer = client
            .signed(&signer, "GET", &listing(query), &[], b"")
            .await;
        answer.exception(400, "InvalidParameterException");
    }
    // An identity that ends meanwhile gets what it would get now.
    let path = listing("lastSyncCount=1&wait=20");
    let (answer, ()) = tokio::join!(
        client.signed(&signer, "GET", &path, &[], b""),
        delete_identity(&guest, &mut second)
    );
    answer.exception(403, "NotAuthorizedException");
}
