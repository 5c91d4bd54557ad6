//! `idle`: memory of a server that does nothing, and of connections that ask for nothing.

use serde::Serialize;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::arguments::{IdleOptions, Shared};
use crate::failure::{Result, fail};
use crate::load::signature::{Request, Signer};
use crate::load::{Connection, account};
use crate::machine::Machine;
use crate::scratch::Scratch;
use crate::server::Server;
use crate::{processor, progress, report, server};

#[derive(Serialize)]
struct Outcome {
    /// Resident memory of the server before anybody came.
    server_bytes: u64,
    connections: usize,
    /// What each connection added that had one answer and is kept open.
    connection_bytes: u64,
    /// What is left of that, for each, a while after all were closed.
    left_bytes: u64,
}

pub fn run(shared: &Shared, machine: &Machine, options: &IdleOptions) -> Result<()> {
    let scratch = Scratch::new(&shared.data, "idle")?;
    let binary = server::binary(shared.server.as_deref())?;
    let server = Server::syncline(&binary, scratch.path())?;
    let resident = || processor::memory_of_process(server.pid(), "VmRSS");
    let server_bytes = resident()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let connections = options.connections;
    let open = open(&runtime, &server, connections)?;
    let added = resident()?.saturating_sub(server_bytes);
    drop(open);
    // The server has taken note that they are gone once it answers another one.
    ask(&runtime, &server)?;
    let left = resident()?.saturating_sub(server_bytes);
    server.stop()?;
    let each = |bytes: u64| bytes / connections as u64;
    let outcome = Outcome {
        server_bytes,
        connections,
        connection_bytes: each(added),
        left_bytes: each(left),
    };
    outcome.tell()?;
    report::file(&shared.report, "idle", machine, json!(outcome))
}

/// Opens connections and asks once on each.
fn open(runtime: &Runtime, server: &Server, connections: usize) -> Result<Vec<Connection>> {
    let bar = progress::bar("idle", connections);
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(ask(runtime, server)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(open)
}

fn ask(runtime: &Runtime, server: &Server) -> Result<Connection> {
    let request = Request {
        method: "GET",
        path: "/identitypools",
        canonical_path: "/identitypools",
        query: "",
        target: None,
        content_type: account::SYNC_TYPE,
        body: b"",
        signed: true,
    };
    let mut signer = Signer::new(account::ACCESS_KEY, account::SECRET, "cognito-sync");
    runtime.block_on(async {
        let mut connection = Connection::open(server.address).await?;
        let answer = connection.call(&request, &mut signer).await?;
        if answer.status != 200 {
            return fail(format!("it answered {}: {}", answer.status, answer.text()));
        }
        Ok(connection)
    })
}

impl Outcome {
    fn tell(&self) -> Result<()> {
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        let kib = |bytes: u64| format!("{:.1} KiB", bytes as f64 / 1024.0);
        let row = |what: String, figure: String| vec![what, figure];
        report::table(
            "resident memory of the server",
            &["", ""],
            &[
                row("when it has started".to_owned(), mib(self.server_bytes)),
                row(
                    format!("and for each of {} idle connections", self.connections),
                    kib(self.connection_bytes),
                ),
                row(
                    "of which stays when they are closed".to_owned(),
                    kib(self.left_bytes),
                ),
            ],
        )
    }
}
