//! Updates at a fixed pace, each with when it was sent and answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::failure::Result;
use crate::load::{self, Account, Connection, Written};

/// Connections that take turns.
const CONNECTIONS: usize = 8;

/// How often, and how long.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Updates a second.
    pub rate: f64,
    pub time: Duration,
}

/// Updates the first so many datasets, which take turns. Tells how long it took, too.
pub async fn run(
    account: &Arc<Account>,
    datasets: usize,
    pace: Pace,
) -> Result<(Vec<Written>, Duration)> {
    let connections = CONNECTIONS.min(datasets);
    let interval = Duration::try_from_secs_f64(connections as f64 / pace.rate)?;
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..connections {
        let account = Arc::clone(account);
        let first = began + interval.mul_f64(number as f64 / connections as f64);
        tasks.spawn(async move {
            let mut connection = Connection::open(account.address).await?;
            let mut signer = account.signer();
            let (mut written, mut due) = (Vec::new(), first);
            let mut turns = (number..datasets).step_by(connections).cycle();
            while due < began + pace.time {
                tokio::time::sleep_until(due.into()).await;
                due += interval;
                if let Some(dataset) = turns.next() {
                    let one = load::write(&account, &mut connection, &mut signer, dataset);
                    written.push(one.await?);
                }
            }
            Result::Ok(written)
        });
    }
    let mut written = Vec::new();
    while let Some(of_one) = tasks.join_next().await {
        written.extend(of_one??);
    }
    Ok((written, began.elapsed()))
}
