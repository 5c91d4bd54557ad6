//! `full-disk`: the server on a disk that becomes full. Writes are refused clearly, reads go on;
//! when there is space again writes do too, without a restart. Nothing acknowledged is lost.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use crate::arguments::{FullDiskOptions, Shared};
use crate::failure::{Result, fail};
use crate::proof::{Mode, Place, Settled, Shape, Stage, Trouble};
use crate::scratch::Scratch;
use crate::{report, server};

/// How often clients try again once there is space, and how long they wait in between.
const TRIES_MAX: usize = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
/// Steps in which each client tries to be refused on a full disk.
const STEPS_WHEN_FULL: usize = 1000;
/// Steps of each client when there is space again.
const STEPS: usize = 100;

pub fn run(shared: &Shared, options: &FullDiskOptions) -> Result<()> {
    let scratch = Scratch::new(&shared.data, "full-disk")?;
    let filler = options.mount.join("filler");
    let mut file = File::create(&filler)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..options.filler_bytes / zeros.len() as u64 {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    // An open file would keep its space when it is removed.
    drop(file);
    let place = Place {
        binary: server::binary(shared.server.as_deref())?,
        directory: scratch.path().to_owned(),
        data: options.mount.join("data"),
    };
    let shape = Shape {
        identities: 2,
        datasets: 4,
        keys: 12,
        value_bytes: (1000, 6000),
    };
    let mut stage = Stage::open(place, options.clients, shape, 1)?;
    stage.fill()?;
    fill_up(&mut stage)?;
    tell("reads    go on", &stage.verify()?)?;
    delete(&mut stage, options)?;
    std::fs::remove_file(&filler)?;
    resume(&mut stage)?;
    tell("restored", &stage.verify()?)?;
    stage.stop()?;
    stage.check()?;
    stage.start()?;
    tell("reopened", &stage.verify()?)?;
    stage.stop()
}

/// New identities until each client's are refused, for want of space and nothing else.
fn fill_up(stage: &mut Stage) -> Result<()> {
    let clients = refused(stage, Mode::Grow)?;
    if !stage.log()?.contains("no space left") {
        return fail(format!("the log does not say why:\n{}", stage.log()?));
    }
    // What is too large for the rest of a segment is refused first; smaller changes take the rest.
    let smaller = refused(stage, Mode::Steps(STEPS_WHEN_FULL))?;
    report::lines(&[format!(
        "full     new identities of {clients} clients were refused, smaller changes of {smaller}, \
         with 500 InternalErrorException; {} bytes are live",
        stage.live_bytes()
    )])
}

/// Plays until the clients are refused; gives how many were.
fn refused(stage: &mut Stage, mode: Mode) -> Result<usize> {
    let troubles = stage.play(mode)?;
    for trouble in &troubles {
        let as_told = match trouble {
            Trouble::Refused { status: 500, text } => text.contains("InternalErrorException"),
            // DeleteIdentities answers 200 and names what it could not delete.
            Trouble::Refused { status: 200, text } => text.contains("InternalServerError"),
            _ => false,
        };
        if !as_told {
            return fail(format!("a full disk: {trouble}\n{}", stage.log()?));
        }
    }
    stage.take_refusals_for_true();
    Ok(troubles.len())
}

/// Deletes go on from the reserve that is kept for them.
fn delete(stage: &mut Stage, options: &FullDiskOptions) -> Result<()> {
    let refused = stage.play(Mode::Shrink)?;
    stage.take_refusals_for_true();
    if let Some(first) = refused.first() {
        let line = format!(
            "deletes  of {} of {} clients are refused while the disk is full: {first}",
            refused.len(),
            options.clients
        );
        if !options.deletes_may_be_refused {
            return fail(line);
        }
        report::lines(&[line])?;
    } else {
        report::lines(&["deletes  go on".to_owned()])?;
    }
    tell("deleted ", &stage.verify()?)
}

/// Writes work again without a restart.
fn resume(stage: &mut Stage) -> Result<()> {
    let mut tries = 1;
    while let Some(trouble) = stage.play(Mode::Steps(1))?.into_iter().next() {
        if tries == TRIES_MAX || !matches!(trouble, Trouble::Refused { .. }) {
            let log = stage.log()?;
            return fail(format!("there is space again: {trouble}\n{log}"));
        }
        stage.take_refusals_for_true();
        tries += 1;
        std::thread::sleep(BETWEEN_TRIES);
    }
    if let Some(trouble) = stage.play(Mode::Steps(STEPS))?.into_iter().next() {
        return fail(format!("there is space again: {trouble}"));
    }
    report::lines(&[format!(
        "writes   go on after {tries} tries, without a restart"
    )])
}

fn tell(when: &str, settled: &Settled) -> Result<()> {
    report::lines(&[format!(
        "{when}: {} identities, {} datasets, {} records are what was acknowledged",
        settled.identities, settled.datasets, settled.records
    )])
}
