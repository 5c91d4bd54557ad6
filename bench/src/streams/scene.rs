//! A pool that streams to files, filled while the server is stopped, so that everything waits in
//! the log when it starts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use syncline_engine::{Options, PoolId};
use tokio::runtime::Runtime;

use crate::contestant::Shelf;
use crate::failure::{Result, fail};
use crate::load::Connection;
use crate::load::account::{ACCESS_KEY, IDENTITY_TYPE, SECRET, SYNC_TYPE};
use crate::load::signature::{Request, Signer};
use crate::server::Server;
use crate::store::Store;
use crate::workload::Workload;

/// How often it is looked how far something is.
const LOOKING_PERIOD: Duration = Duration::from_millis(10);
/// Nothing takes nearly so long; it only ends what hangs.
const HANGS: Duration = Duration::from_secs(1800);
/// What the server keeps in memory of what it has read.
const CACHE_BYTES: usize = 16 << 20;
/// What a server says of a setting that it was built without.
const LACKS: &str = "needs a program with the feature";
const SENT: &str = "syncline_stream_events_sent_total{stream=\"out\"} ";

/// See the module.
pub(super) struct Scene {
    binary: PathBuf,
    directory: PathBuf,
    settings: String,
    runtime: Runtime,
    server: Option<Server>,
    /// The path of the pool, as requests have it.
    pool: String,
}

impl Scene {
    /// Whether a server was built with what a setting of files needs.
    pub(super) fn has(binary: &Path, data: &Path, more: &str) -> Result<bool> {
        std::fs::create_dir_all(data)?;
        let file = data.join(format!("streams-{}.toml", std::process::id()));
        std::fs::write(&file, settings(data, more))?;
        let mut command = Command::new(binary);
        command.args(["config", "check", "--config"]).arg(&file);
        let checked = command.output()?;
        std::fs::remove_file(&file)?;
        if checked.status.success() {
            return Ok(true);
        }
        let why = String::from_utf8_lossy(&checked.stderr);
        match why.contains(LACKS) {
            true => Ok(false),
            false => fail(format!(
                "the server refuses {}: {}",
                more.trim(),
                why.trim()
            )),
        }
    }

    /// A server with a pool, in which all datasets will be, and whose stream has begun. The server
    /// is stopped again.
    pub(super) fn new(
        binary: &Path,
        directory: &Path,
        workload: &mut Workload,
        more: &str,
    ) -> Result<Self> {
        let mut scene = Self {
            binary: binary.to_owned(),
            directory: std::path::absolute(directory)?,
            settings: settings(&std::path::absolute(directory)?, more),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            server: None,
            pool: String::new(),
        };
        scene.start()?;
        let made = scene.ask(
            "POST",
            "/",
            Some("AWSCognitoIdentityService.CreateIdentityPool"),
            &json!({ "IdentityPoolName": "streams", "AllowUnauthenticatedIdentities": true }),
        )?;
        let pool = made["IdentityPoolId"].as_str().ok_or("a pool has no id")?;
        scene.pool = format!("/identitypools/{}", pool.replace(':', "%3A"));
        for dataset in &mut workload.datasets {
            dataset.pool = PoolId::parse(pool)?;
        }
        let streams = json!({ "StreamName": "out", "StreamingStatus": "ENABLED" });
        scene.of_pool("configuration", &json!({ "CognitoStreams": streams }))?;
        scene.until("the stream begins", |page| {
            page.contains("reader=\"stream out of ").then_some(())
        })?;
        scene.stop()?;
        Ok(scene)
    }

    /// Writes every dataset once, and reads the feed; seconds of that.
    pub(super) fn fill(&self, workload: &Workload) -> Result<f64> {
        let store = Store::empty(&self.directory.join("data"), Options::default())?;
        let updates: Vec<_> = (0..workload.datasets.len())
            .map(|number| workload.update(number, 0))
            .collect();
        store.write_all(&updates)?;
        let began = Instant::now();
        let (commits, _) = store.follow()?;
        let seconds = began.elapsed().as_secs_f64();
        if commits < updates.len() {
            return fail(format!("the feed has {commits} of {}", updates.len()));
        }
        store.engine.close()?;
        Ok(seconds)
    }

    /// Starts the server and waits until the sink has so many events; seconds from when it listens.
    pub(super) fn deliver(&mut self, events: usize) -> Result<f64> {
        self.start()?;
        let began = Instant::now();
        self.until("everything is delivered", |page| {
            let sent = page.lines().find_map(|line| line.strip_prefix(SENT))?;
            (sent.parse() == Ok(events)).then_some(())
        })?;
        Ok(began.elapsed().as_secs_f64())
    }

    /// Bytes of the sink's files.
    pub(super) fn file_bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for file in std::fs::read_dir(self.directory.join("out"))? {
            bytes += file?.metadata()?.len();
        }
        Ok(bytes)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The running server.
    pub(super) fn server(&self) -> Result<&Server> {
        self.server.as_ref().ok_or_else(|| "it is stopped".into())
    }

    /// Asks something of the pool.
    pub(super) fn of_pool(&self, what: &str, body: &Value) -> Result<Value> {
        self.ask("POST", &format!("{}/{what}", self.pool), None, body)
    }

    pub(super) fn end(mut self) -> Result<()> {
        self.stop()
    }

    fn start(&mut self) -> Result<()> {
        let data = self.directory.join("data");
        let server = Server::configured(&self.binary, &self.directory, &data, &self.settings)?;
        self.server = Some(server);
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), Server::stop)
    }

    /// Looks at the metrics again and again.
    fn until<T>(&self, what: &str, mut found: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let began = Instant::now();
        loop {
            let page = self.send(&request("GET", "/metrics", None, b""), "cognito-sync")?;
            if let Some(found) = found(&String::from_utf8_lossy(&page)) {
                return Ok(found);
            }
            if began.elapsed() > HANGS {
                return fail(format!("waited in vain: {what}"));
            }
            std::thread::sleep(LOOKING_PERIOD);
        }
    }

    fn ask(&self, method: &str, path: &str, target: Option<&str>, body: &Value) -> Result<Value> {
        let service = match target {
            Some(_) => "cognito-identity",
            None => "cognito-sync",
        };
        let body = body.to_string();
        let answer = self.send(&request(method, path, target, body.as_bytes()), service)?;
        Ok(serde_json::from_slice(&answer)?)
    }

    fn send(&self, request: &Request<'_>, service: &'static str) -> Result<Vec<u8>> {
        let address: SocketAddr = self.server()?.address;
        let mut signer = Signer::new(ACCESS_KEY, SECRET, service);
        // The path is signed as it is sent, encoded once more.
        let canonical = request.path.replace('%', "%25");
        let request = Request {
            canonical_path: &canonical,
            ..*request
        };
        self.runtime.block_on(async {
            let mut connection = Connection::open(address).await?;
            let answer = connection.call(&request, &mut signer).await?;
            if answer.status != 200 {
                return fail(format!("it answered {}: {}", answer.status, answer.text()));
            }
            Ok(answer.body)
        })
    }
}

/// Files beside the data, no limit on publishing, and a cache that is full soon: what memory grows
/// by then is not the cache.
fn settings(directory: &Path, more: &str) -> String {
    let path = json!(directory.join("out").display().to_string());
    format!(
        "[engine]\ncache_bytes = {CACHE_BYTES}\n[streaming]\nbulk_publish_bytes_per_second = 0\n\
         [streams.out]\ntype = \"file\"\npath = {path}\n{more}"
    )
}

fn request<'a>(
    method: &'a str,
    path: &'a str,
    target: Option<&'a str>,
    body: &'a [u8],
) -> Request<'a> {
    Request {
        method,
        path,
        canonical_path: path,
        query: "",
        target,
        content_type: if target.is_some() {
            IDENTITY_TYPE
        } else {
            SYNC_TYPE
        },
        body,
        signed: path != "/metrics",
    }
}
