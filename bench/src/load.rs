//! Load on a server: keep-alive connections that each update, wait for the answer, and update
//! again, every request signed as it is sent.
//!
//! Each update spends a session token, so the tokens are taken by ListRecords before the clock
//! starts. Each dataset belongs to one connection, which knows its count.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::failure::{Result, fail};
use crate::figure::Latencies;
use crate::workload::{Dice, KEY, value};

pub mod account;
mod connection;
pub mod signature;

pub use account::Account;
use account::Listed;
pub use connection::Connection;

/// Connections that prepare and verify.
const QUIET_CONNECTIONS: usize = 8;

/// An update that is ready to be sent.
#[derive(Clone)]
pub struct Job {
    /// Which dataset, by its place in the account.
    dataset: usize,
    /// The count that it has before.
    sync_count: u64,
    token: String,
}

/// The updates of every connection.
pub type Plan = Vec<Vec<Job>>;

/// What came of a plan.
pub struct Answered {
    pub elapsed: Duration,
    /// One for each answer, all of them 200.
    pub latencies: Latencies,
    /// Bytes of the last answer, header block included.
    pub answer_bytes: usize,
}

/// Takes a session token for each of so many updates, spread evenly over connections, the dataset
/// of each chosen uniformly among those of its connection.
pub async fn plan(account: &Arc<Account>, connections: usize, updates: usize) -> Result<Plan> {
    let datasets = account.datasets.len();
    if connections == 0 || connections > datasets {
        return fail(format!(
            "{connections} connections need at least one dataset each"
        ));
    }
    let mut tasks = JoinSet::new();
    for quiet in 0..QUIET_CONNECTIONS {
        let account = Arc::clone(account);
        let mine = (quiet..connections).step_by(QUIET_CONNECTIONS);
        tasks.spawn(async move {
            let mut connection = Connection::open(account.address).await?;
            let mut signer = account.signer();
            let mut lists = Vec::new();
            for number in mine {
                let mut dice = Dice::new(number);
                let share = (datasets - number).div_ceil(connections);
                let mut jobs: Vec<Job> = Vec::with_capacity(updates / connections);
                let mut added = vec![0; share];
                for _ in 0..updates.div_ceil(connections) {
                    let at = dice.roll(share);
                    let dataset = number + connections * at;
                    let listed = account.list(&mut connection, &mut signer, dataset).await?;
                    let Listed { sync_count, token } = listed;
                    jobs.push(Job {
                        dataset,
                        sync_count: sync_count + added[at],
                        token,
                    });
                    added[at] += 1;
                }
                lists.push((number, jobs));
            }
            Ok(lists)
        });
    }
    let mut lists = joined(tasks).await?.concat();
    lists.sort_by_key(|(number, _)| *number);
    Ok(lists.into_iter().map(|(_, jobs)| jobs).collect())
}

/// Sends the updates to a server. Any answer but 200 fails the run.
pub async fn run(account: &Arc<Account>, address: SocketAddr, plan: Plan) -> Result<Answered> {
    let start = Arc::new(Barrier::new(plan.len() + 1));
    let mut tasks = JoinSet::new();
    for jobs in plan {
        let (account, start) = (Arc::clone(account), Arc::clone(&start));
        let connection = Connection::open(address).await?;
        tasks.spawn(async move {
            start.wait().await;
            update_all(&account, connection, jobs).await
        });
    }
    let began = Instant::now();
    start.wait().await;
    let ended = joined(tasks).await?;
    let elapsed = began.elapsed();
    let mut latencies = Latencies::new()?;
    let mut answer_bytes = 0;
    for (of_one, bytes) in &ended {
        latencies.add(of_one)?;
        answer_bytes = answer_bytes.max(*bytes);
    }
    Ok(Answered {
        elapsed,
        latencies,
        answer_bytes,
    })
}

/// The counts of all datasets, as the server lists them.
pub async fn counts(account: &Arc<Account>) -> Result<Vec<u64>> {
    let mut tasks = JoinSet::new();
    for quiet in 0..QUIET_CONNECTIONS {
        let account = Arc::clone(account);
        tasks.spawn(async move {
            let mut connection = Connection::open(account.address).await?;
            let mut signer = account.signer();
            let mut counts = Vec::new();
            for dataset in (quiet..account.datasets.len()).step_by(QUIET_CONNECTIONS) {
                let listed = account.list(&mut connection, &mut signer, dataset).await?;
                counts.push((dataset, listed.sync_count));
            }
            Ok(counts)
        });
    }
    let mut counts = joined(tasks).await?.concat();
    counts.sort_unstable();
    Ok(counts.into_iter().map(|(_, count)| count).collect())
}

async fn update_all(
    account: &Account,
    mut connection: Connection,
    jobs: Vec<Job>,
) -> Result<(Latencies, usize)> {
    let mut signer = account.signer();
    let mut latencies = Latencies::new()?;
    let mut answer_bytes = 0;
    for job in jobs {
        let began = Instant::now();
        let body = body(&job);
        let request = account.update(job.dataset, body.as_bytes());
        let answer = connection.call(&request, &mut signer).await?;
        latencies.note(began.elapsed());
        if answer.status != 200 {
            return fail(format!(
                "an update was answered {}: {}",
                answer.status,
                answer.text()
            ));
        }
        answer_bytes = answer.bytes;
    }
    Ok((latencies, answer_bytes))
}

fn body(job: &Job) -> String {
    let Job {
        dataset,
        sync_count,
        token,
    } = job;
    let value = value(*dataset, sync_count + 1);
    let patch =
        format!(r#"{{"Op":"replace","Key":"{KEY}","Value":"{value}","SyncCount":{sync_count}}}"#);
    format!(r#"{{"RecordPatches":[{patch}],"SyncSessionToken":"{token}"}}"#)
}

async fn joined<T: 'static>(mut tasks: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut ended = Vec::with_capacity(tasks.len());
    while let Some(task) = tasks.join_next().await {
        ended.push(task??);
    }
    Ok(ended)
}
