//! `syncline-bench`: what the engine and the server do per second, beside what the same disk and
//! the same sockets do bare, in one run.

mod arguments;
mod batches;
mod bulk;
mod choice;
mod closed_loop;
mod commits;
mod contestant;
mod device;
mod echo;
mod failure;
mod figure;
mod footprint;
mod fresh;
mod full_disk;
mod http;
mod idle;
mod killing;
mod listeners;
mod load;
mod machine;
mod memory;
mod peers;
mod pipelined;
mod processor;
mod progress;
mod proof;
mod raw;
mod reads;
mod report;
mod rivals;
mod scratch;
mod server;
mod soak;
mod store;
mod streams;
mod together;
mod upkeep;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use machine::Machine;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("syncline-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> failure::Result<()> {
    let shared = arguments.shared;
    let machine = || {
        let machine = Machine::new(&shared.data, &shared.build);
        report::lines(&machine.lines()).map(|()| machine)
    };
    match arguments.command {
        Command::Commits(options) => commits::run(&shared, &machine()?, &options),
        Command::Peers(options) => commits::run_peers(&shared, &machine()?, &options),
        Command::Pipelined(options) => pipelined::run(&shared, &machine()?, &options),
        Command::Reads(options) => reads::run(&shared, &machine()?, &options),
        Command::Bulk(options) => bulk::run(&shared, &machine()?, &options),
        Command::Http(options) => http::run(&shared, &machine()?, &options),
        Command::Idle(options) => idle::run(&shared, &machine()?, &options),
        Command::Listeners(options) => listeners::run(&shared, &machine()?, &options),
        Command::Memory(options) => memory::run(&shared, &machine()?, &options),
        Command::Upkeep(options) => upkeep::run(&shared, &machine()?, &options),
        Command::Streams(options) => streams::run(&shared, &machine()?, &options),
        Command::All(options) => {
            let machine = machine()?;
            commits::run(&shared, &machine, &options.commits)?;
            commits::run_peers(&shared, &machine, &options.commits)?;
            pipelined::run(&shared, &machine, &options.pipelined)?;
            reads::run(&shared, &machine, &options.reads)?;
            bulk::run(&shared, &machine, &options.bulk)?;
            http::run(&shared, &machine, &options.http)?;
            idle::run(&shared, &machine, &options.idle)?;
            listeners::run_if_possible(&shared, &machine, &options.listeners)?;
            memory::run(&shared, &machine, &options.memory)?;
            upkeep::run(&shared, &machine, &options.upkeep)?;
            streams::run(&shared, &machine, &options.streams)
        }
        Command::Soak(options) => soak::run(&shared, &machine()?, &options),
        Command::Killing(options) => killing::run(&shared, &machine()?, &options),
        Command::FullDisk(options) => full_disk::run(&shared, &options),
        Command::Report(options) => report::document::run(&shared, &options),
        Command::Echo(options) => echo::run(&options),
        Command::MemoryFill(options) => memory::fill::run(&options),
        Command::MemoryOpen(options) => memory::reopen::run(&options),
        Command::UpkeepStage(options) => upkeep::stage::run(&options),
    }
}
