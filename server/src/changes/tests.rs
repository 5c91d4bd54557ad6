//! Lines, events, cursors and waiting.

use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;
use crate::fixture::{Fixture, User, replace};

async fn ask(fixture: &Fixture, pool: &str, query: &str) -> Result<Vec<Value>, ApiError> {
    let asked = Asked {
        pool,
        query,
        accept: None,
        last_event_id: None,
    };
    let (media_type, text) = answer(&fixture.site, &Caller::root("AKIAROOT"), asked).await?;
    assert_eq!(media_type, "application/x-ndjson");
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with('\n'));
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    Ok(lines.collect())
}

async fn put(user: &User<'_>, dataset: &str, count: u64) {
    let patch = replace("key", "value", count);
    user.update(dataset, json!([patch])).await.unwrap();
}

fn cursor(line: &Value) -> &str {
    line["cursor"].as_str().unwrap()
}

#[tokio::test]
async fn every_line_tells_where_to_go_on() {
    let fixture = Fixture::new();
    let (pool, other) = (fixture.pool().await, fixture.pool().await);
    let user = fixture.guest(&pool).await;
    for count in 0..3 {
        put(&user, "d", count).await;
        put(&fixture.guest(&other).await, "x", 0).await;
    }
    let all = ask(&fixture, &pool, "").await.unwrap();
    let counts: Vec<_> = all
        .iter()
        .map(|line| line["change"]["syncCount"].clone())
        .collect();
    assert_eq!(counts, [json!(1), json!(2), json!(3), Value::Null]);
    assert_eq!(all[3]["behindMs"], 0);
    assert_eq!(all[0]["change"]["kinesisSyncRecords"][0]["value"], "value");
    for (place, line) in all.iter().enumerate() {
        let query = format!("cursor={}", cursor(line));
        let rest = ask(&fixture, &pool, &query).await.unwrap();
        let expected = (place + 1).min(3);
        assert_eq!(rest[..rest.len() - 1], all[expected..3], "{line}");
    }
    let page = ask(&fixture, &pool, "limit=2&cursor=oldest").await.unwrap();
    assert_eq!(page[..2], all[..2]);
    assert!(page[2]["behindMs"].as_u64().unwrap() > 0);
    let newest = ask(&fixture, &pool, "cursor=newest").await.unwrap();
    assert_eq!(newest.len(), 1);
}

#[tokio::test]
async fn a_wait_ends_with_the_first_change_of_the_pool() {
    let fixture = Fixture::new();
    let (pool, other) = (fixture.pool().await, fixture.pool().await);
    let (user, stranger) = (fixture.guest(&pool).await, fixture.guest(&other).await);
    let waiting = ask(&fixture, &pool, "cursor=newest&wait=20");
    let writing = async {
        // Those of others wake nobody.
        for count in 0..20 {
            put(&stranger, "x", count).await;
        }
        put(&user, "d", 0).await;
    };
    let (answer, ()) = tokio::join!(waiting, writing);
    let lines = answer.unwrap();
    assert_eq!(lines[0]["change"]["datasetName"], "d");
    assert_eq!(lines.len(), 2);
    let pages = fixture.site.outflow.counters.pages.get();
    assert_eq!(pages, 1, "it has read nothing of others");
}

#[tokio::test]
async fn a_wait_ends_without_a_change_when_its_time_is_over_or_the_server_stops() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let began = Instant::now();
    let lines = ask(&fixture, &pool, "wait=1").await.unwrap();
    assert_eq!(lines.len(), 1);
    assert!(began.elapsed() >= Duration::from_secs(1));
    let waiting = ask(&fixture, &pool, "cursor=newest&wait=20");
    let stopping = async { fixture.site.streams.end_waits() };
    let both = async { tokio::join!(waiting, stopping) };
    // Half of the wait, only so that one that is not ended fails.
    let (lines, ()) = tokio::time::timeout(Duration::from_secs(10), both)
        .await
        .unwrap();
    assert_eq!(lines.unwrap().len(), 1);
    let mut places = Vec::new();
    while let Some(place) = fixture.site.streams.place_to_wait() {
        places.push(place);
    }
    let error = ask(&fixture, &pool, "wait=1").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooManyRequests);
    ask(&fixture, &pool, "wait=0").await.unwrap();
}

#[tokio::test]
async fn who_waited_goes_on_behind_what_others_did_meanwhile() {
    let fixture = Fixture::new();
    let (pool, other) = (fixture.pool().await, fixture.pool().await);
    let stranger = fixture.guest(&other).await;
    let waiting = ask(&fixture, &pool, "cursor=newest&wait=2");
    let writing = async {
        for count in 0..5 {
            put(&stranger, "x", count).await;
        }
        fixture.site.store.engine().head()
    };
    let (answer, written) = tokio::join!(waiting, writing);
    let lines = answer.unwrap();
    let newest = Place::parse(cursor(&lines[0])).unwrap();
    assert!(newest.cursor().sequence >= written.sequence, "{newest:?}");
    let pages = fixture.site.outflow.counters.pages.get();
    assert_eq!((lines.len(), pages), (1, 0));
}

#[tokio::test]
async fn an_event_stream_goes_on_where_it_was_cut_off() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    put(&user, "a", 0).await;
    put(&user, "b", 0).await;
    let (site, pool) = (&fixture.site, pool.as_str());
    let ask = |last_event_id: Option<String>, query: &'static str| async move {
        let asked = Asked {
            pool,
            query,
            accept: Some("text/html, Text/Event-Stream;q=0.9"),
            last_event_id: last_event_id.as_deref(),
        };
        let root = Caller::root("AKIAROOT");
        let (media_type, text) = answer(site, &root, asked).await.unwrap();
        assert_eq!(media_type, "text/event-stream");
        String::from_utf8(text).unwrap()
    };
    let text = ask(None, "").await;
    let blocks: Vec<Vec<&str>> = text
        .split_terminator("\n\n")
        .map(|block| block.lines().collect())
        .collect();
    assert_eq!(blocks.len(), 3, "{text}");
    assert_eq!(blocks[0][1], "event: change");
    let data = blocks[0][2].strip_prefix("data: ").unwrap();
    let envelope: Value = serde_json::from_str(data).unwrap();
    assert_eq!(envelope["datasetName"], "a");
    assert_eq!(blocks[2][0], "retry: 1000");
    let id = |block: &[&str]| {
        block
            .iter()
            .find_map(|line| line.strip_prefix("id: "))
            .map(str::to_owned)
    };
    // The header says more than the query of the first request.
    let rest = ask(id(&blocks[0]), "cursor=oldest").await;
    assert!(rest.starts_with(&blocks[1].join("\n")), "{rest}");
    let end = ask(id(&blocks[2]), "wait=0").await;
    assert_eq!(end, format!("{}\n\n", blocks[2].join("\n")));
}

#[tokio::test]
async fn what_is_no_cursor_is_refused_with_its_reason() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let foreign = "cursor=00000000-0000-0000-0000-000000000007-1-0";
    let future = format!(
        "cursor={}-999999-0",
        fixture.site.store.engine().head().store
    );
    for (query, kind) in [
        ("cursor=", ErrorKind::InvalidParameter),
        ("cursor=7", ErrorKind::InvalidParameter),
        ("limit=0", ErrorKind::InvalidParameter),
        ("limit=10001", ErrorKind::InvalidParameter),
        ("wait=21", ErrorKind::InvalidParameter),
        ("wait=-1", ErrorKind::InvalidParameter),
        ("since=1", ErrorKind::Serialization),
        (foreign, ErrorKind::CursorTooOld),
        (&future, ErrorKind::CursorTooOld),
    ] {
        let error = ask(&fixture, &pool, query).await.unwrap_err();
        assert_eq!(error.kind, kind, "{query}: {error}");
    }
    let error = ask(&fixture, "us-east-1:00", "").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ResourceNotFound);
    let user = fixture.guest(&pool).await;
    let asked = Asked {
        pool: &pool,
        query: "",
        accept: None,
        last_event_id: None,
    };
    let error = answer(&fixture.site, &user.caller, asked)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::AccessDenied);
}
