//! A client's random walk over identities of its own: it updates, lists, deletes and makes anew,
//! and compares each listing with what it knows.

use std::sync::Arc;
use std::time::Instant;

use super::known::{Known, Patch};
use super::link::{Link, Outcome, Place, Trouble};
use super::tally::Tally;
use crate::workload::Dice;

/// Steps of a thousand in which an identity is deleted, and another one comes to be.
const DEATHS: usize = 2;
/// Steps of a thousand in which a dataset is deleted, and written anew.
const DELETIONS: usize = 12;
/// Steps of a thousand in which datasets and usage of an identity are compared.
const SURVEYS: usize = 20;
/// Of four listings one is of everything.
const WHOLE_LISTINGS: usize = 4;
/// One of four updates of a record that is there removes it.
const REMOVALS: usize = 4;

/// The sizes of what a client keeps.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Identities of each client.
    pub identities: usize,
    /// Datasets of each identity.
    pub datasets: usize,
    /// Keys that are used in each dataset.
    pub keys: usize,
    /// Bytes of the shortest and the longest value.
    pub value_bytes: (usize, usize),
}

/// An identity and its datasets, by their number.
pub struct Owner {
    pub id: String,
    pub datasets: Vec<Known>,
}

/// A change that was sent and whose answer is still due.
pub enum Pending {
    /// An update or a deletion of a dataset, which makes it like this.
    Dataset {
        owner: usize,
        dataset: usize,
        after: Known,
    },
    /// A new identity.
    Birth,
    /// The deletion of an identity.
    Death { owner: usize },
}

/// One client.
pub struct Walk {
    pub pool: Arc<str>,
    pub link: Link,
    pub owners: Vec<Owner>,
    /// Set while nobody knows whether a change was made.
    pub pending: Option<Pending>,
    shape: Shape,
    dice: Dice,
    tally: Arc<Tally>,
}

impl Owner {
    fn live_bytes(&self) -> u64 {
        self.datasets.iter().map(Known::live_bytes).sum()
    }
}

/// The name of a dataset.
pub fn name(dataset: usize) -> String {
    format!("settings-{dataset}")
}

impl Walk {
    pub fn new(pool: Arc<str>, link: Link, shape: Shape, dice: Dice, tally: Arc<Tally>) -> Self {
        Self {
            pool,
            link,
            owners: Vec::new(),
            pending: None,
            shape,
            dice,
            tally,
        }
    }

    /// Whether all identities are there.
    pub fn is_full(&self) -> bool {
        self.owners.len() >= self.shape.identities
    }

    /// Makes an identity and writes its datasets.
    pub async fn grow(&mut self) -> Outcome<()> {
        self.pending = Some(Pending::Birth);
        let id = self.link.make_identity(&self.pool).await?;
        self.pending = None;
        self.tally.acknowledge(0, 0);
        let datasets = vec![Known::default(); self.shape.datasets];
        self.owners.push(Owner { id, datasets });
        let owner = self.owners.len() - 1;
        for dataset in 0..self.shape.datasets {
            self.fill(owner, dataset).await?;
        }
        Ok(())
    }

    /// One step; afterwards everything that was sent is known to be done.
    pub async fn step(&mut self) -> Outcome<()> {
        if !self.is_full() {
            return self.grow().await;
        }
        let owner = self.dice.roll(self.owners.len());
        let dataset = self.dice.roll(self.shape.datasets);
        let roll = self.dice.roll(1000);
        if roll < DEATHS {
            self.delete_identity(owner).await?;
            self.grow().await
        } else if roll < DEATHS + DELETIONS {
            self.delete_dataset(owner, dataset).await?;
            self.fill(owner, dataset).await
        } else if roll < DEATHS + DELETIONS + SURVEYS {
            self.survey(owner).await
        } else {
            let patches = self.patches(owner, dataset);
            self.update(owner, dataset, patches).await
        }
    }

    /// Deletes an identity, the last one taking its place here.
    pub async fn delete_identity(&mut self, owner: usize) -> Outcome<()> {
        self.pending = Some(Pending::Death { owner });
        self.link.delete_identity(&self.owners[owner].id).await?;
        self.pending = None;
        let gone = self.owners.swap_remove(owner);
        self.tally.acknowledge(gone.live_bytes(), 0);
        Ok(())
    }

    /// Deletes a dataset if it exists.
    pub async fn delete_dataset(&mut self, owner: usize, dataset: usize) -> Outcome<()> {
        let known = &self.owners[owner].datasets[dataset];
        if !known.exists {
            return Ok(());
        }
        let after = known.deleted();
        self.pending = Some(Pending::Dataset {
            owner,
            dataset,
            after,
        });
        let Self { pool, owners, .. } = self;
        let place = place(pool, &owners[owner]);
        self.link.delete_dataset(&place, &name(dataset)).await?;
        self.adopt();
        Ok(())
    }

    /// Compares ListDatasets and the usage of an identity with what is known.
    pub async fn survey(&mut self, owner: usize) -> Outcome<()> {
        let Self { pool, owners, .. } = self;
        let owner = &owners[owner];
        let place = place(pool, owner);
        let live = (0..).zip(&owner.datasets).filter(|(_, known)| known.exists);
        let expected: Vec<_> = live
            .map(|(number, known)| (name(number), known.live_records(), known.live_bytes()))
            .collect();
        let listed = self.link.datasets(&place).await?;
        if listed != expected {
            let id = &owner.id;
            return Err(Trouble::Wrong(format!(
                "{id} lists the datasets {listed:?}, and should {expected:?}"
            )));
        }
        let usage = self.link.usage(&place).await?;
        let bytes = expected.iter().map(|(_, _, bytes)| bytes).sum();
        if usage != (expected.len() as u64, bytes) {
            let id = &owner.id;
            return Err(Trouble::Wrong(format!(
                "{id} has {usage:?} datasets and bytes, and should {expected:?}"
            )));
        }
        self.tally.check();
        Ok(())
    }

    /// Compares a listing with what is known; gives its session token.
    pub async fn look(&mut self, owner: usize, dataset: usize, since: u64) -> Outcome<String> {
        let Self { pool, owners, .. } = self;
        let owner = &owners[owner];
        let name = name(dataset);
        let listed = self.link.list(&place(pool, owner), &name, since).await?;
        let (listing, token) = listed;
        let expected = owner.datasets[dataset].listing(since);
        if listing != expected {
            let id = &owner.id;
            return Err(Trouble::Wrong(format!(
                "{name} of {id} since {since} is {listing:?}, and should be {expected:?}"
            )));
        }
        self.tally.check();
        Ok(token)
    }

    /// The change of a dataset that was under way is acknowledged.
    fn adopt(&mut self) {
        if let Some(Pending::Dataset {
            owner,
            dataset,
            after,
        }) = self.pending.take()
        {
            let known = &mut self.owners[owner].datasets[dataset];
            let before = known.live_bytes();
            *known = after;
            self.tally.acknowledge(before, known.live_bytes());
        }
    }

    /// Keys and values that are live.
    pub fn live_bytes(&self) -> u64 {
        self.owners.iter().map(Owner::live_bytes).sum()
    }

    /// Writes a dataset as it usually is, with one update.
    async fn fill(&mut self, owner: usize, dataset: usize) -> Outcome<()> {
        // What updates and removals settle at, on average.
        let settled = self.shape.keys * REMOVALS + self.dice.roll(REMOVALS + 1);
        let usual = settled / (REMOVALS + 1);
        let patches = (0..usual.max(1)).map(|number| {
            let value = Some(value(&mut self.dice, self.shape.value_bytes));
            let key = key(number);
            Patch { key, value }
        });
        let patches = patches.collect();
        self.update(owner, dataset, patches).await
    }

    /// One to four records, each once.
    fn patches(&mut self, owner: usize, dataset: usize) -> Vec<Patch> {
        let known = &self.owners[owner].datasets[dataset];
        let (first, patches) = (self.dice.roll(self.shape.keys), 1 + self.dice.roll(4));
        (0..patches.min(self.shape.keys))
            .map(|number| {
                let key = key((first + number) % self.shape.keys);
                let removed = known.is_live(&key) && self.dice.roll(REMOVALS) == 0;
                let value = (!removed).then(|| value(&mut self.dice, self.shape.value_bytes));
                Patch { key, value }
            })
            .collect()
    }

    /// Lists, compares, and updates.
    async fn update(&mut self, owner: usize, dataset: usize, patches: Vec<Patch>) -> Outcome<()> {
        let since = match self.dice.roll(WHOLE_LISTINGS) {
            0 => 0,
            _ => {
                let count = self.owners[owner].datasets[dataset].sync_count;
                count.saturating_sub(self.dice.roll(4) as u64)
            }
        };
        let token = self.look(owner, dataset, since).await?;
        let known = &self.owners[owner].datasets[dataset];
        let after = known.updated(&patches);
        let expected = vec![after.sync_count; patches.len()];
        self.pending = Some(Pending::Dataset {
            owner,
            dataset,
            after,
        });
        let Self { pool, owners, .. } = self;
        let (place, name) = (place(pool, &owners[owner]), name(dataset));
        let known = &owners[owner].datasets[dataset];
        let began = Instant::now();
        let counts = self
            .link
            .update(&place, &name, known, &patches, &token)
            .await?;
        self.tally.note_update(began.elapsed());
        self.adopt();
        if counts != expected {
            return Err(Trouble::Wrong(format!(
                "an update of {name} of {} answered the counts {counts:?}, not {expected:?}",
                self.owners[owner].id
            )));
        }
        Ok(())
    }
}

fn place<'a>(pool: &'a str, owner: &'a Owner) -> Place<'a> {
    let identity = &owner.id;
    Place { pool, identity }
}

fn key(number: usize) -> String {
    format!("record-{number:02}")
}

/// Letters that are hard to press together, between two lengths.
fn value(dice: &mut Dice, (shortest, longest): (usize, usize)) -> String {
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    let length = shortest + dice.roll(longest + 1 - shortest);
    (0..length)
        .map(|_| char::from(LETTERS[dice.roll(LETTERS.len())]))
        .collect()
}
