//! Everything compared with everything: the server must have exactly what was acknowledged, and of
//! what was under way all or nothing.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::link::{Link, Outcome, Trouble};
use super::walk::{Pending, Walk};
use crate::failure::Result;

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settled {
    pub identities: u64,
    pub datasets: u64,
    pub records: u64,
    /// Changes whose answer never came.
    pub under_way: u64,
    /// Those of them that were made.
    pub made: u64,
}

/// Compares all clients' knowledge with the server, and gives them certainty about what was under
/// way. Identities whose birth nobody was told of are deleted.
pub async fn settle(
    address: SocketAddr,
    pool: &Arc<str>,
    walks: Vec<Walk>,
) -> Result<(Vec<Walk>, Settled)> {
    let mut link = Link::open(address).await?;
    let mut unclaimed: HashSet<String> = link.identities(pool).await?.into_iter().collect();
    let alive = Arc::new(unclaimed.clone());
    let births = |walk: &&Walk| matches!(walk.pending, Some(Pending::Birth));
    let births = walks.iter().filter(births).count() as u64;
    let mut tasks = JoinSet::new();
    for mut walk in walks {
        let alive = Arc::clone(&alive);
        tasks.spawn(async move {
            let settled = of_one(&mut walk, &alive).await;
            (walk, settled)
        });
    }
    let (mut walks, mut all, mut bytes) = (Vec::new(), Settled::default(), 0);
    while let Some(ended) = tasks.join_next().await {
        let (walk, settled) = ended?;
        all.add(settled?);
        bytes += walk.live_bytes();
        for owner in &walk.owners {
            unclaimed.remove(&owner.id);
        }
        walks.push(walk);
    }
    let strays = unclaimed.len() as u64;
    if strays > births {
        let what = format!("{strays} identities that nobody made, and {births} were under way");
        return Err(Trouble::Wrong(what).into());
    }
    all.made += strays;
    let stored = link.pool_bytes(pool).await?;
    if stored != bytes {
        let what = format!("the pool has {stored} bytes, its clients wrote {bytes}");
        return Err(Trouble::Wrong(what).into());
    }
    for stray in unclaimed {
        link.delete_identity(&stray).await?;
    }
    Ok((walks, all))
}

impl Settled {
    fn add(&mut self, other: Self) {
        self.identities += other.identities;
        self.datasets += other.datasets;
        self.records += other.records;
        self.under_way += other.under_way;
        self.made += other.made;
    }
}

async fn of_one(walk: &mut Walk, alive: &HashSet<String>) -> Outcome<Settled> {
    let mut settled = Settled {
        under_way: u64::from(walk.pending.is_some()),
        ..Settled::default()
    };
    settled.made += u64::from(decide(walk, alive).await?);
    for owner in 0..walk.owners.len() {
        let id = &walk.owners[owner].id;
        if !alive.contains(id) {
            return Err(Trouble::Wrong(format!("the identity {id} is lost")));
        }
        walk.survey(owner).await?;
        for dataset in 0..walk.owners[owner].datasets.len() {
            walk.look(owner, dataset, 0).await?;
            settled.datasets += 1;
            settled.records += walk.owners[owner].datasets[dataset].live_records();
        }
        settled.identities += 1;
    }
    Ok(settled)
}

/// Finds out whether the change that was under way was made. An identity that came to be without
/// its client is not found here.
async fn decide(walk: &mut Walk, alive: &HashSet<String>) -> Outcome<bool> {
    match walk.pending.take() {
        None | Some(Pending::Birth) => Ok(false),
        Some(Pending::Death { owner }) => {
            let gone = !alive.contains(&walk.owners[owner].id);
            if gone {
                walk.owners.swap_remove(owner);
            }
            Ok(gone)
        }
        Some(Pending::Dataset {
            owner,
            dataset,
            after,
        }) => {
            let before = std::mem::replace(&mut walk.owners[owner].datasets[dataset], after);
            if walk.look(owner, dataset, 0).await.is_ok() {
                return Ok(true);
            }
            // Neither before nor after is told as a difference from before.
            walk.owners[owner].datasets[dataset] = before;
            walk.look(owner, dataset, 0).await.map(|_| false)
        }
    }
}
