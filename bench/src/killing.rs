//! `killing`: the server is killed under load at moments of chance, again and again. Afterwards it
//! has everything that was acknowledged, of what was under way all or nothing, and nothing else.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::arguments::{KillingOptions, Shared};
use crate::failure::{Result, fail};
use crate::machine::Machine;
use crate::proof::{Mode, Place, Shape, Stage, Trouble};
use crate::scratch::Scratch;
use crate::workload::Dice;
use crate::{progress, report, server};

/// A kill comes up to so long after the last change that was waited for.
const DELAY_US_MAX: usize = 3000;
/// In one of so many rounds the next start is killed as well, within this time.
const STUMBLES: usize = 3;
const STUMBLE_US_MAX: usize = 60_000;

pub fn run(shared: &Shared, machine: &Machine, options: &KillingOptions) -> Result<()> {
    let scratch = Scratch::new(&shared.data, "killing")?;
    let place = Place {
        binary: server::binary(shared.server.as_deref())?,
        directory: scratch.path().to_owned(),
        data: scratch.path().join("data"),
    };
    let ended = kill_often(place, machine, options);
    if ended.is_err() {
        scratch.keep();
    }
    ended
}

fn kill_often(place: Place, machine: &Machine, options: &KillingOptions) -> Result<()> {
    let shape = Shape {
        identities: 12,
        datasets: 4,
        keys: 12,
        value_bytes: (20, 400),
    };
    let mut log = File::create(&options.log)
        .map_err(|error| format!("cannot make {}: {error}", options.log.display()))?;
    for line in machine.lines() {
        writeln!(log, "# {line}")?;
    }
    let mut stage = Stage::open(place, options.clients, shape, options.seed)?;
    stage.fill()?;
    let bar = progress::bar("killing", usize::try_from(options.rounds)?);
    let began = Instant::now();
    let mut verified = 0;
    for number in 1..=options.rounds {
        let seed = options.seed + u64::from(number - 1);
        let round = Round { seed, options };
        match round.run(&mut stage) {
            Ok(told) => {
                verified += told.verified;
                let at = began.elapsed().as_secs_f64();
                writeln!(
                    log,
                    "round {number} at {at:.1} s, seed {seed}: {}",
                    told.line
                )?;
            }
            Err(failure) => {
                let line = format!("round {number}, seed {seed}: FAILED: {failure}");
                writeln!(log, "{line}")?;
                return fail(format!("{line}\n{}", stage.log()?));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let line = format!(
        "{} rounds, {verified} datasets compared, nothing lost, nothing invented",
        options.rounds
    );
    writeln!(log, "{line}")?;
    stage.stop()?;
    report::lines(&[line, format!("log      {}", options.log.display())])
}

struct Round<'a> {
    seed: u64,
    options: &'a KillingOptions,
}

/// What a round has to tell.
struct Told {
    verified: u64,
    line: String,
}

impl Round<'_> {
    fn run(&self, stage: &mut Stage) -> Result<Told> {
        let mut dice = Dice::new(usize::try_from(self.seed)?);
        let most = usize::try_from(self.options.changes)?;
        let changes = 1 + dice.roll(most) as u64;
        let before = stage.tally.counts().acknowledged;
        let running = stage.begin(Mode::Walk);
        let alive = stage.tally.wait_for(before + changes);
        // Not a wait for anything: the moment of the kill is chance.
        std::thread::sleep(micros(&mut dice, DELAY_US_MAX));
        stage.kill();
        for trouble in stage.end(running)? {
            if !alive || !matches!(trouble, Trouble::Gone(_)) {
                return Err(trouble.into());
            }
        }
        let acknowledged = stage.tally.counts().acknowledged - before;
        let mut line = format!("{acknowledged} acknowledged");
        if dice.roll(STUMBLES) == 0 {
            let moment = micros(&mut dice, STUMBLE_US_MAX);
            stage.stumble(moment)?;
            line += &format!(", killed again {} ms into a start", moment.as_millis());
        }
        if stage.check()? {
            line += ", checked clean";
        }
        let ready = stage.start()?;
        let settled = stage.verify()?;
        line += &format!(
            ", open after {:.0} ms, {} under way and {} of them made, verified {} identities, \
             {} datasets, {} records",
            ready.as_secs_f64() * 1000.0,
            settled.under_way,
            settled.made,
            settled.identities,
            settled.datasets,
            settled.records
        );
        let verified = settled.datasets;
        Ok(Told { verified, line })
    }
}

fn micros(dice: &mut Dice, most: usize) -> Duration {
    Duration::from_micros(dice.roll(most) as u64)
}
