//! The four measurements of `upkeep`, each a section of its own.

use super::chart::{Chart, Scale};
use super::results::{Lane, Look, Opening, Results, Rival};
use super::section::{Best, Section, bar, dots, panels};
use super::{markdown, number};
use crate::failure::Result;
use crate::figure::Spread;

/// How often `space` overwrites everything.
const TIMES: u64 = 5;

/// How long opening takes, and what an open store takes of memory.
pub fn opening(results: &Results) -> Result<Section> {
    let Some(opening) = &results.upkeep.opening else {
        return Ok(missing("opening"));
    };
    let mut section = Section::default();
    let chart = Chart {
        title: "Seconds to open".to_owned(),
        scale: Scale::Bars,
        panels: panels(
            &ways(opening),
            |way| way.panel.clone(),
            |way| bar(way.contestant, &way.seconds, number::seconds),
            Best::Least,
        ),
    };
    section.show("opening", &chart)?;
    let rows = opening.stores.iter().map(|store| {
        let [closed, soon, late] = store.seconds();
        let told = |seconds: &Spread| number::spread(seconds, |seconds| format!("{seconds:.2}"));
        let replayed = store.killed_late.iter().map(|seen| seen.replayed_bytes);
        let resident = Spread::of(store.closed.iter().map(|seen| seen.resident as f64));
        let most = store.killed_late.iter().map(|seen| seen.resident_most);
        vec![
            store.name(),
            number::megabytes(store.checkpoint_bytes),
            told(&closed),
            told(&soon),
            told(&late),
            number::megabytes(replayed.max().unwrap_or(0)),
            format!("{:.1}", resident.median / 1e6),
            number::megabytes(most.max().unwrap_or(0)),
            number::whole(store.checkpoint.rate()),
            number::whole(store.feed.rate()),
            number::whole(store.export.rate()),
        ]
    });
    let head = [
        "store",
        "checkpoint MB",
        "closed s",
        "killed soon s",
        "killed late s",
        "replayed MB",
        "resident MB",
        "most MB",
        "checkpoint MB/s",
        "feed MB/s",
        "export MB/s",
    ];
    section.table(&head, rows);
    if !opening.beside.is_empty() {
        section.add(&rivals(&opening.beside));
    }
    if let Some(memory) = &opening.memory {
        section.add(&format!(
            "From stores of different shape: {:.0} bytes a dataset, {:.0} bytes an identity beside \
             the text of its id.",
            memory.bytes_per_dataset, memory.bytes_per_identity
        ));
    }
    Ok(section)
}

/// One contestant's time to open a store that was left in one way.
struct Way<'a> {
    panel: String,
    contestant: &'a str,
    seconds: Spread,
}

/// The engine with the store, and the others with as many datasets of as many identities.
fn ways(opening: &Opening) -> Vec<Way<'_>> {
    let mut all = Vec::new();
    for store in &opening.stores {
        let many = store.identities < store.datasets;
        let rivals = opening.beside.iter();
        let rivals = rivals.filter(|rival| many && rival.datasets == store.datasets);
        let rivals = rivals.map(|rival| (rival.contestant.as_str(), rival.seconds()));
        let everybody: Vec<_> = [("engine", store.seconds())]
            .into_iter()
            .chain(rivals)
            .collect();
        for (number, left) in ["closed", "killed soon", "killed late"]
            .into_iter()
            .enumerate()
        {
            all.extend(everybody.iter().map(|&(contestant, seconds)| Way {
                panel: format!("{}, {left}", store.name()),
                contestant,
                seconds: seconds[number],
            }));
        }
    }
    all
}

/// Other stores.
fn rivals(all: &[Rival]) -> String {
    let told = |seconds: &Spread| number::spread(seconds, |seconds| format!("{seconds:.2}"));
    let rows = all.iter().map(|rival| {
        vec![
            rival.contestant.clone(),
            number::whole(rival.datasets as f64),
            number::megabytes(rival.bytes),
            told(&rival.closed),
            told(&rival.killed_soon),
            told(&rival.killed_late),
            format!("{:.1}", rival.resident / 1e6),
        ]
    });
    let head = [
        "store",
        "datasets",
        "MB",
        "closed s",
        "killed soon s",
        "killed late s",
        "resident MB",
    ];
    markdown::table(&head, &rows.collect::<Vec<_>>())
}

/// Bytes written for each byte updated.
pub fn amplification(results: &Results) -> Section {
    let Some(mixes) = &results.upkeep.amplification else {
        return missing("amplification");
    };
    let rows = mixes.iter().map(|mix| {
        let by = |bytes: u64, logical: u64| number::ratio(bytes as f64 / logical as f64);
        let together = mix.log + mix.moved + mix.checkpoint_bytes;
        vec![
            format!(
                "{} datasets of {}",
                number::whole(mix.datasets as f64),
                mix.name
            ),
            number::megabytes(mix.live_bytes),
            by(mix.log_before, mix.logical_before),
            by(mix.log, mix.logical),
            by(mix.moved, mix.logical),
            by(mix.checkpoint_bytes, mix.logical),
            by(together, mix.logical),
        ]
    });
    let head = [
        "bytes written per byte updated",
        "live MB",
        "log",
        "log while cleaned",
        "moved",
        "saved",
        "together",
    ];
    let mut section = Section::default();
    section.table(&head, rows);
    section
}

/// What a directory takes while all of it is overwritten.
pub fn space(results: &Results) -> Section {
    let Some(space) = &results.upkeep.space else {
        return missing("space");
    };
    let row = |when: &str, look: &Look| {
        vec![
            when.to_owned(),
            number::megabytes(look.disk),
            number::megabytes(look.hot),
            number::megabytes(look.cold),
            number::megabytes(look.checkpoints),
            number::megabytes(look.feed),
            number::ratio(space.by_allowed(look)),
        ]
    };
    let rows = [
        row("filled", &space.filled),
        row("the most while all is overwritten", &space.most),
        row("right after the last update", &space.written),
        row("a quarter of an hour later", &space.idle),
        row("compacted", &space.compact),
    ];
    let live = format!(
        "{} datasets, {} MB live, {} MB as frames",
        number::whole(space.datasets as f64),
        number::megabytes(space.live),
        number::megabytes(space.live_frames)
    );
    let head = [
        live.as_str(),
        "disk MB",
        "log MB",
        "cold MB",
        "checkpoints MB",
        "feed MB",
        "by 1.5 × live + retention",
    ];
    let mut section = Section::default();
    section.table(&head, rows);
    if let Some(to_device) = space.to_device {
        let overwritten = TIMES * space.live;
        section.add(&format!(
            "{} bytes went to the device for each byte overwritten, all files together.",
            number::ratio(to_device as f64 / overwritten as f64)
        ));
    }
    section
}

/// Commits of a store that is tended all the time, beside one that is left alone.
pub fn latency(results: &Results) -> Result<Section> {
    let Some(all) = &results.upkeep.latency else {
        return Ok(missing("latency"));
    };
    let lanes = all.iter().flat_map(|beside| {
        let lanes = beside.lanes.iter();
        lanes.map(move |lane| (beside, lane))
    });
    let lanes: Vec<_> = lanes.collect();
    let mut section = Section::default();
    let row = |(_, lane): &(_, &Lane)| dots(&lane.name, [lane.p50_us, lane.p99_us, lane.p999_us]);
    let chart = Chart {
        title: "Commits beside cleaner and checkpoints: p50, p99 and p99.9 in ms".to_owned(),
        scale: Scale::Dots,
        panels: panels(
            &lanes,
            |(beside, _)| number::counted(beside.threads, "thread"),
            row,
            Best::Least,
        ),
    };
    section.show("upkeep-latency", &chart)?;
    let rows = lanes.iter().map(|(beside, lane)| {
        let tended = beside
            .lanes
            .first()
            .is_some_and(|first| first.name == lane.name);
        let ratios = beside
            .ratios
            .iter()
            .map(|(name, ratio)| format!("{name} {}", number::spread(ratio, number::ratio)));
        let ratios: Vec<_> = ratios.collect();
        vec![
            lane.name.clone(),
            beside.threads.to_string(),
            number::spread(&lane.per_second, number::whole),
            [lane.p50_us, lane.p99_us, lane.p999_us]
                .map(number::milliseconds)
                .join(", "),
            format!(
                "{}, {}, {}",
                lane.checkpoints, lane.retired_segments, lane.cleaned_segments
            ),
            if tended {
                ratios.join("; ")
            } else {
                String::new()
            },
        ]
    });
    let head = [
        "store",
        "threads",
        "a second",
        "p50, p99, p99.9 ms",
        "checkpoints, segments retired and cleaned",
        "by alone",
    ];
    section.table(&head, rows);
    Ok(section)
}

fn missing(part: &str) -> Section {
    Section::missing(&format!("upkeep --parts {part}"))
}
