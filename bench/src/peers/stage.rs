//! The processes of `opening` for other stores: datasets, updates and looks are the engine's.

use std::path::Path;
use std::time::Instant;

use syncline_peers::Peer;

use super::one::One;
use super::work::verify;
use crate::arguments::{Shape, StageOptions, Task};
use crate::contestant::Shelf;
use crate::failure::{Result, fail};
use crate::upkeep::stage::{CHUNK, LOOKS, Seen, count_of};
use crate::workload::{self, Dice, Workload};
use crate::{fresh, processor};

/// Fills, changes or opens the peer of this name.
pub fn run(name: &str, options: &StageOptions) -> Result<()> {
    let name = super::NAMES.into_iter().find(|known| *known == name);
    let name = name.ok_or("there is no such peer")?;
    let shape = &options.shape;
    let began = Instant::now();
    let peer = syncline_peers::open(name, &shape.store)?;
    let mut seen = Seen {
        seconds: began.elapsed().as_secs_f64(),
        resident: processor::memory_of_this_process("VmRSS")?,
        resident_most: processor::memory_of_this_process("VmHWM")?,
        datasets: (shape.identities * shape.datasets) as u64,
        identities: shape.identities as u64,
        ..Seen::default()
    };
    let workload = workload(shape)?;
    let over = |peer| One::over(name, &shape.store, peer);
    // Held until this process ends or is killed.
    let _open: Box<dyn Send> = match options.task {
        Task::Fill => {
            let one = over(peer)?;
            write(&one, &workload, 0..seen.datasets)?;
            drop(one);
            seen.log_bytes = bytes_below(&shape.store)?;
            Box::new(())
        }
        Task::Change => {
            let one = over(peer)?;
            let updates = options.updates.ok_or("how many updates?")?;
            let first = seen.datasets + options.updated;
            write(&one, &workload, first..first + updates)?;
            seen.updates = updates;
            Box::new(one)
        }
        Task::OpenAndClose => {
            look(peer.as_ref(), &workload, options)?;
            drop(peer);
            Box::new(())
        }
        Task::Open => {
            look(peer.as_ref(), &workload, options)?;
            Box::new(peer)
        }
    };
    fresh::tell(&seen)?;
    match options.task {
        Task::Fill | Task::OpenAndClose => Ok(()),
        Task::Change | Task::Open => fresh::wait_to_be_killed(),
    }
}

fn workload(shape: &Shape) -> Result<Workload> {
    if shape.records != 1 {
        return fail("peers are filled with one record a dataset");
    }
    let id = |number| workload::numbered(number / shape.datasets, number % shape.datasets);
    let datasets = (0..shape.identities * shape.datasets).map(id);
    Ok(Workload {
        datasets: datasets.collect::<Result<_>>()?,
        ..Workload::new(0, shape.records)?
    })
}

/// Updates by number, as the engine's stage counts them, so many to a transaction.
fn write(one: &One, workload: &Workload, numbers: std::ops::Range<u64>) -> Result<()> {
    let all = workload.datasets.len() as u64;
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        let chunk = numbers.by_ref().take(CHUNK);
        let update = |number| Ok(workload.update(usize::try_from(number % all)?, number / all));
        let updates: Result<Vec<_>> = chunk.map(update).collect();
        one.write_all(&updates?)?;
    }
    Ok(())
}

/// Reads some datasets, and fails if one is not as it was acknowledged.
fn look(peer: &dyn Peer, workload: &Workload, options: &StageOptions) -> Result<()> {
    let all = workload.datasets.len();
    let mut dice = Dice::new(all);
    peer.read(&mut |look| {
        for _ in 0..LOOKS.min(all) {
            let number = dice.roll(all);
            verify(look, workload, number, count_of(options, number))?;
        }
        Ok(())
    })
}

/// Bytes of all files in a directory.
fn bytes_below(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for found in std::fs::read_dir(directory)? {
        let found = found?;
        let metadata = found.metadata()?;
        bytes += if metadata.is_dir() {
            bytes_below(&found.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}
