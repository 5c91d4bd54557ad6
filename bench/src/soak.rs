//! `soak`: the server at full speed for a long time, with data that stay the same in size. What it
//! takes of the machine is sampled into a CSV file; at the end everything acknowledged is there.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::arguments::{Shared, SoakOptions};
use crate::failure::{Result, fail};
use crate::machine::Machine;
use crate::proof::{Counts, Mode, Place, Settled, Shape, Stage};
use crate::scratch::Scratch;
use crate::{progress, report, server};

mod sample;

use sample::Meter;

/// Samples of a long run; a short one has one a second.
const SAMPLES: f64 = 720.0;

pub fn run(shared: &Shared, machine: &Machine, options: &SoakOptions) -> Result<()> {
    let scratch = Scratch::new(&shared.data, "soak")?;
    let place = Place {
        binary: server::binary(shared.server.as_deref())?,
        directory: scratch.path().to_owned(),
        data: scratch.path().join("data"),
    };
    let ended = soak(place, machine, options);
    if ended.is_err() {
        scratch.keep();
    }
    ended
}

fn soak(place: Place, machine: &Machine, options: &SoakOptions) -> Result<()> {
    let shape = Shape {
        identities: options.identities.div_ceil(options.connections),
        datasets: 4,
        keys: 12,
        value_bytes: (20, 400),
    };
    let duration = Duration::from_secs_f64(options.minutes * 60.0);
    let mut stage = Stage::open(place, options.connections, shape, options.seed)?;
    stage.fill()?;
    report::lines(&[format!(
        "filled   {} identities, {} bytes live, on {} connections",
        shape.identities * options.connections,
        stage.live_bytes(),
        options.connections
    )])?;
    let mut csv = File::create(&options.csv)
        .map_err(|error| format!("cannot make {}: {error}", options.csv.display()))?;
    for line in machine.lines() {
        writeln!(csv, "# {line}")?;
    }
    let counts = drive(&mut stage, &mut csv, duration, options)?;
    let settled = finish(&mut stage)?;
    report::lines(&[
        format!(
            "did      {} changes, {} checked reads in {:.0} s",
            counts.acknowledged,
            counts.checks,
            duration.as_secs_f64()
        ),
        verified(&settled),
        format!("samples  {}", shown(&options.csv)),
    ])
}

/// Full speed until the time is over, with a sample at every interval.
fn drive(
    stage: &mut Stage,
    csv: &mut File,
    duration: Duration,
    options: &SoakOptions,
) -> Result<Counts> {
    let interval = Duration::from_secs_f64((duration.as_secs_f64() / SAMPLES).max(1.0));
    let bar = progress::bar("soak", usize::try_from(duration.as_secs())?);
    writeln!(csv, "{}", sample::HEAD)?;
    let mut meter = Meter::new(stage)?;
    let running = stage.begin(Mode::Walk);
    let began = Instant::now();
    let mut due = interval;
    let outcome = loop {
        if !stage.tally.wait(due.saturating_sub(began.elapsed())) {
            break Ok(());
        }
        due += interval;
        let sample = meter.sample(began.elapsed())?;
        writeln!(csv, "{}", sample.line())?;
        bar.set_position(began.elapsed().as_secs());
        bar.set_message(sample.message());
        if sample.disk_bytes > options.disk_bytes_max {
            let (now, most) = (sample.disk_bytes, options.disk_bytes_max);
            break fail(format!(
                "the data directory has {now} bytes, more than {most}"
            ));
        }
        if began.elapsed() >= duration {
            break Ok(());
        }
    };
    bar.finish_and_clear();
    running.stop();
    if let Some(trouble) = stage.end(running)?.into_iter().next() {
        return fail(format!("{trouble}\n{}", stage.log()?));
    }
    outcome.map(|()| meter.counts())
}

/// Everything acknowledged is there, before and after a polite restart.
fn finish(stage: &mut Stage) -> Result<Settled> {
    stage.verify()?;
    stage.stop()?;
    let checked = stage.check()?;
    let ready = stage.start()?;
    let settled = stage.verify()?;
    stage.stop()?;
    report::lines(&[format!(
        "reopened in {:.2} s{}",
        ready.as_secs_f64(),
        if checked { ", checked clean" } else { "" }
    )])?;
    Ok(settled)
}

fn verified(settled: &Settled) -> String {
    format!(
        "verified {} identities, {} datasets, {} records: all that was acknowledged, nothing else",
        settled.identities, settled.datasets, settled.records
    )
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
