//! Load on a server: keep-alive connections that each send a request, wait for the answer, and send
//! the next, every request signed as it is sent.
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
use signature::{Request, Signer};

/// Connections that prepare and verify.
const QUIET_CONNECTIONS: usize = 8;

/// A request that is ready to be sent, or two.
#[derive(Clone)]
pub enum Job {
    /// Writes a record.
    Update(Update),
    /// Lists what is new since the count before this one.
    List { dataset: usize, sync_count: u64 },
    /// Lists a dataset, and writes its record with the session token of the listing.
    Pair(usize),
    /// As many bytes for a server whose listings tell nothing.
    BlindPair(Update),
}

/// An update that is ready to be sent.
#[derive(Clone)]
pub struct Update {
    /// Which dataset, by its place in the account.
    dataset: usize,
    /// The count that it has before.
    sync_count: u64,
    token: String,
}

/// One update that was stored.
pub struct Written {
    /// Which dataset, by its place in the account.
    pub dataset: usize,
    /// The count that it has since.
    pub sync_count: u64,
    pub sent: Instant,
    pub answered: Instant,
}

/// The requests of every connection.
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
    has_one_each(datasets, connections)?;
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
                    let Listed {
                        sync_count, token, ..
                    } = listed;
                    jobs.push(Job::Update(Update {
                        dataset,
                        sync_count: sync_count + added[at],
                        token,
                    }));
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

/// So many pairs of a listing and an update, the datasets chosen as [`plan`] does.
pub fn pairs(account: &Account, connections: usize, pairs: usize) -> Result<Plan> {
    let datasets = account.datasets.len();
    has_one_each(datasets, connections)?;
    let of_one = |number| {
        let mut dice = Dice::new(number);
        let share = (datasets - number).div_ceil(connections);
        let pair = |_| Job::Pair(number + connections * dice.roll(share));
        (0..pairs.div_ceil(connections)).map(pair).collect()
    };
    Ok((0..connections).map(of_one).collect())
}

/// The same plan for a server whose listings tell nothing: what they would tell is taken from one
/// listing of the real server.
pub async fn blind(account: &Account, plan: Plan) -> Result<Plan> {
    let mut connection = Connection::open(account.address).await?;
    let Listed {
        sync_count, token, ..
    } = account
        .list(&mut connection, &mut account.signer(), 0)
        .await?;
    let blind = |job| match job {
        Job::Pair(dataset) => Job::BlindPair(Update {
            dataset,
            sync_count,
            token: token.clone(),
        }),
        other => other,
    };
    let of_one = |jobs: Vec<Job>| jobs.into_iter().map(blind).collect();
    Ok(plan.into_iter().map(of_one).collect())
}

fn has_one_each(datasets: usize, connections: usize) -> Result<()> {
    if connections == 0 || connections > datasets {
        return fail(format!(
            "{connections} connections need at least one dataset each"
        ));
    }
    Ok(())
}

/// So many listings of what the last update of a dataset wrote, spread evenly over connections.
pub async fn listings(account: &Arc<Account>, connections: usize, lists: usize) -> Result<Plan> {
    let counts = counts(account).await?;
    let of_one = |number| {
        let mut dice = Dice::new(number);
        let list = |_| {
            let dataset = dice.roll(counts.len());
            let sync_count = counts[dataset];
            Job::List {
                dataset,
                sync_count,
            }
        };
        (0..lists.div_ceil(connections)).map(list).collect()
    };
    Ok((0..connections).map(of_one).collect())
}

/// When the requests of a connection are due; what is late is sent at once.
#[derive(Clone, Copy)]
pub enum Pace {
    /// As soon as the one before is answered.
    Closed,
    /// So many a second on all connections together. Latency counts from when a request was due,
    /// so that a server that stands still is not spared those that would have come meanwhile.
    Fixed(f64),
}

/// Sends the requests to a server. Any answer but 200 fails the run.
pub async fn run(
    account: &Arc<Account>,
    address: SocketAddr,
    plan: Plan,
    pace: Pace,
) -> Result<Answered> {
    let connections = plan.len() as f64;
    let interval = match pace {
        Pace::Closed => None,
        Pace::Fixed(rate) => Some(Duration::try_from_secs_f64(connections / rate)?),
    };
    let start = Arc::new(Barrier::new(plan.len() + 1));
    let mut tasks = JoinSet::new();
    for (number, jobs) in plan.into_iter().enumerate() {
        let (account, start) = (Arc::clone(account), Arc::clone(&start));
        // The connections take turns.
        let turn = number as f64 / connections;
        let connection = Connection::open(address).await?;
        tasks.spawn(async move {
            start.wait().await;
            let first = |interval: Duration| Instant::now() + interval.mul_f64(turn);
            let schedule = interval.map(|interval| (first(interval), interval));
            call_all(&account, connection, jobs, schedule).await
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

/// The counts of all datasets, as the server lists them; fails unless every value is the one that
/// belongs to its count.
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
                if listed.value != Some(value(dataset, listed.sync_count)) {
                    let count = listed.sync_count;
                    return fail(format!(
                        "the value of dataset {dataset} is not the one of count {count}"
                    ));
                }
                counts.push((dataset, listed.sync_count));
            }
            Ok(counts)
        });
    }
    let mut counts = joined(tasks).await?.concat();
    counts.sort_unstable();
    Ok(counts.into_iter().map(|(_, count)| count).collect())
}

async fn call_all(
    account: &Account,
    connection: Connection,
    jobs: Vec<Job>,
    mut schedule: Option<(Instant, Duration)>,
) -> Result<(Latencies, usize)> {
    let mut caller = Caller {
        account,
        connection,
        signer: account.signer(),
        answer_bytes: 0,
    };
    let mut latencies = Latencies::new()?;
    for job in jobs {
        let mut began = Instant::now();
        if let Some((due, interval)) = &mut schedule {
            tokio::time::sleep_until((*due).into()).await;
            began = *due;
            *due += *interval;
        }
        caller.perform(job).await?;
        latencies.note(began.elapsed());
    }
    Ok((latencies, caller.answer_bytes))
}

/// Who sends the requests of one connection.
struct Caller<'a> {
    account: &'a Account,
    connection: Connection,
    signer: Signer,
    /// Of the last answer.
    answer_bytes: usize,
}

impl Caller<'_> {
    async fn perform(&mut self, job: Job) -> Result<()> {
        let account = self.account;
        match job {
            Job::Update(update) => self.update(&update).await,
            Job::List {
                dataset,
                sync_count,
            } => {
                let query = format!("lastSyncCount={}", sync_count - 1);
                self.call(&account.list_since(dataset, &query)).await
            }
            Job::Pair(dataset) => {
                let listed = account.list(&mut self.connection, &mut self.signer, dataset);
                let Listed {
                    sync_count, token, ..
                } = listed.await?;
                let update = Update {
                    dataset,
                    sync_count,
                    token,
                };
                self.update(&update).await
            }
            Job::BlindPair(update) => {
                self.call(&account.list_since(update.dataset, "")).await?;
                self.update(&update).await
            }
        }
    }

    async fn update(&mut self, update: &Update) -> Result<()> {
        let body = update_body(update);
        let request = self.account.update(update.dataset, body.as_bytes());
        self.call(&request).await
    }

    async fn call(&mut self, request: &Request<'_>) -> Result<()> {
        let answer = self.connection.call(request, &mut self.signer).await?;
        if answer.status != 200 {
            return fail(format!(
                "a request was answered {}: {}",
                answer.status,
                answer.text()
            ));
        }
        self.answer_bytes = answer.bytes;
        Ok(())
    }
}

/// Writes a dataset's record once, with a session of its own.
pub async fn write(
    account: &Account,
    connection: &mut Connection,
    signer: &mut Signer,
    dataset: usize,
) -> Result<Written> {
    let Listed {
        sync_count, token, ..
    } = account.list(connection, signer, dataset).await?;
    let update = Update {
        dataset,
        sync_count,
        token,
    };
    let body = update_body(&update);
    let request = account.update(dataset, body.as_bytes());
    let sent = Instant::now();
    connection.call(&request, signer).await?.json()?;
    Ok(Written {
        dataset,
        sync_count: sync_count + 1,
        sent,
        answered: Instant::now(),
    })
}

fn update_body(update: &Update) -> String {
    let Update {
        dataset,
        sync_count,
        token,
    } = update;
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
