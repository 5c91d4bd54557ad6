//! What the figures were measured on: they mean nothing without it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::load::signature::timestamp;
use crate::report;

/// The machine, the disk under the data, and the software.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    pub disk: String,
    pub version: String,
    pub build: String,
    /// What else takes part, each with its version.
    #[serde(default)]
    pub versions: Vec<String>,
    /// The day of the run, in UTC.
    pub date: Option<String>,
    /// How the kernel schedules the run.
    pub scheduling: String,
    /// Load of other work when the run began, by the kernel's one-minute average.
    pub load_before: String,
}

impl Machine {
    /// Looks around; what cannot be found out is called unknown.
    pub fn new(data: &Path, build: &str) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let line = |text: &str, name: &str| {
            let found = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.split_once(':'));
            found.map_or_else(
                || "unknown".to_owned(),
                |(_, value)| value.trim().to_owned(),
            )
        };
        let memory = line(&read("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        Self {
            processor: line(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: kib * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            disk: disk(data).unwrap_or_else(|| "unknown".to_owned()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: build.to_owned(),
            versions: report::versions::of_build(),
            date: today(),
            scheduling: scheduling(&read("/proc/self/stat")).to_owned(),
            load_before: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or("unknown")
                .to_owned(),
        }
    }

    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let gib = self.memory_bytes as f64 / f64::from(1 << 30);
        vec![
            format!(
                "machine  {} x {}, {gib:.0} GiB, Linux {}",
                self.cores, self.processor, self.kernel
            ),
            format!("disk     {}", self.disk),
            format!("software syncline {}, {}", self.version, self.build),
            format!(
                "load     {} before the run, {} scheduling",
                self.load_before, self.scheduling
            ),
            "note     on a shared machine a thread that is woken may wait for a scheduler tick"
                .to_owned(),
            "         (1 to 4 ms): compare contestants of one run, not figures of different runs"
                .to_owned(),
        ]
    }
}

/// Year, month and day.
fn today() -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let time = timestamp(now.as_secs());
    let [year, month, day] = [0..4, 4..6, 6..8].map(|part| time.get(part));
    Some([year?, month?, day?].join("-"))
}

/// The policy among the fields of `/proc/PID/stat`: the 39th behind the program's name, which is
/// in parentheses and may hold anything.
fn scheduling(stat: &str) -> &'static str {
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    match fields.split_whitespace().nth(38) {
        Some("0") => "ordinary",
        Some("3") => "batch",
        Some("5") => "idle",
        Some("1") => "first-in-first-out",
        Some("2") => "round-robin",
        _ => "unknown",
    }
}

/// The file system and block device below a path, with what the kernel says of its cache.
fn disk(data: &Path) -> Option<String> {
    let data = data
        .ancestors()
        .find_map(|path| std::fs::canonicalize(path).ok())?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let below = |line: &str| {
        let fields: Vec<_> = line.split(' ').collect();
        let mount = Path::new(fields.get(4)?);
        data.starts_with(mount).then_some(mount.as_os_str().len())
    };
    let line = mounts
        .lines()
        .filter(|line| below(line).is_some())
        .max_by_key(|line| below(line))?;
    let (left, right) = line.split_once(" - ")?;
    let number = left.split(' ').nth(2)?;
    let mut kind = right.split(' ');
    let (file_system, device) = (kind.next()?, kind.next()?);
    let queue = |name: &str| {
        // A partition has its queue in its parent.
        let base = format!("/sys/dev/block/{number}");
        [
            format!("{base}/queue/{name}"),
            format!("{base}/../queue/{name}"),
        ]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())
        .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    Some(format!(
        "{file_system} on {device}, cache {}, scheduler {}",
        queue("write_cache"),
        queue("scheduler")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_named() {
        let machine = Machine::new(Path::new("."), "a test");
        assert_ne!(machine.scheduling, "unknown");
        let date = machine.date.clone().unwrap_or_default();
        assert!(date.len() == 10 && date.starts_with("20"), "{date}");
        assert!(machine.cores > 0 && machine.memory_bytes > 0 && !machine.kernel.is_empty());
        assert!(machine.lines().iter().any(|line| line.contains("a test")));
    }
}
