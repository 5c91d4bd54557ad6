//! Runs one hot function so often, for a simulator that counts the instructions of [`measured`]:
//! see `bench/instructions/run`. The same work takes the same number of them on any machine of one
//! kind, however busy it is.

mod engine;
mod server;

use std::error::Error;
use std::process::ExitCode;

/// Why it cannot be run.
type Failure = Box<dyn Error + Send + Sync>;

/// Runs something so often.
type Function = fn(u32) -> Result<(), Failure>;

/// What is measured, by name.
const FUNCTIONS: [(&str, Function); 8] = [
    ("commit", |times| engine::commit(times, 1)),
    ("commit-20", |times| engine::commit(times, 20)),
    ("list-since", engine::list_since),
    ("list-10", engine::list_all),
    ("feed", engine::feed),
    ("signature", server::signature),
    ("json-in", server::json_in),
    ("json-out", server::json_out),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("syncline-instructions: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// `syncline-instructions` prints the names; `syncline-instructions NAME TIMES` runs one.
fn run() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, times] = &arguments[..] else {
        for (name, _) in FUNCTIONS {
            eprintln!("{name}");
        }
        return Err("which of these, and how often?".into());
    };
    let found = FUNCTIONS.iter().find(|(known, _)| known == name);
    let (_, function) = found.ok_or_else(|| format!("there is no {name}"))?;
    function(times.parse()?)
}

/// All that is counted. Not inlined, so that it can be found by its name.
#[inline(never)]
fn measured(work: &mut dyn FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
    work()
}
