//! Processor time and memory, of this process and of a child.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::failure::Result;

/// Clock ticks of `/proc/PID/stat` per second: the same on every Linux that this runs on.
const TICKS_PER_SECOND: u64 = 100;
/// Where it has the parent's number behind the program's name, and where the times begin: in the
/// program, in the kernel, and both of children that ended.
const PARENT: usize = 1;
const TIMES: usize = 11;

/// Processor time of all threads of this process, ended ones too.
pub fn of_this_process() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Processor time of another process, to a hundredth of a second.
pub fn of_process(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(time(fields(&stat).skip(TIMES).take(2)))
}

/// The same of another process with its children, those that ended included.
pub fn of_family(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let mut all = time(fields(&stat).skip(TIMES).take(4));
    let parent = pid.to_string();
    for found in std::fs::read_dir("/proc")? {
        // What is no process has no such file, and some end while they are looked for.
        let Ok(stat) = std::fs::read_to_string(found?.path().join("stat")) else {
            continue;
        };
        if fields(&stat).nth(PARENT) == Some(&parent) {
            all += time(fields(&stat).skip(TIMES).take(4));
        }
    }
    Ok(all)
}

/// What follows the program's name, which is in parentheses and may hold anything.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    fields.split_whitespace()
}

fn time<'a>(ticks: impl Iterator<Item = &'a str>) -> Duration {
    let ticks: u64 = ticks.flat_map(str::parse::<u64>).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// A line of `/proc/self/status` that counts in kB, in bytes.
pub fn memory_of_this_process(line: &str) -> Result<u64> {
    memory(Path::new("/proc/self/status"), line)
}

/// The same of another process.
pub fn memory_of_process(pid: u32, line: &str) -> Result<u64> {
    memory(&PathBuf::from(format!("/proc/{pid}/status")), line)
}

fn memory(path: &Path, line: &str) -> Result<u64> {
    let status = std::fs::read_to_string(path)?;
    let found = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib = found.and_then(|text| text.trim().strip_suffix("kB"));
    let kib: u64 = kib
        .ok_or_else(|| format!("no {line} in {}", path.display()))?
        .trim()
        .parse()?;
    Ok(kib * 1024)
}
