//! The command line: what to measure, at which sizes, and where to put data and reports.

use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures Syncline beside the bare disk and bare sockets of the same machine, in one run.
#[derive(Parser)]
#[command(version, about)]
pub struct Arguments {
    #[command(flatten)]
    pub shared: Shared,
    #[command(subcommand)]
    pub command: Command,
}

/// What all measurements share.
#[derive(Args, Clone)]
pub struct Shared {
    /// Small sizes and few rounds: a look, not a figure to quote
    #[arg(long, global = true)]
    pub quick: bool,
    /// Where the data goes while it runs; it should be on the disk that is to be measured
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "target/bench-data"
    )]
    pub data: PathBuf,
    /// Where the reports go, one JSON file per measurement
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "target/bench"
    )]
    pub report: PathBuf,
    /// What was built and with what, for the report
    #[arg(long, global = true, value_name = "TEXT", default_value = "not stated")]
    pub build: String,
}

#[derive(Subcommand)]
pub enum Command {
    /// Durable single-record updates through the engine, beside raw append-and-sync
    Commits(CommitOptions),
    /// Durable signed UpdateRecords over HTTP, beside a bare hyper echo
    Http(HttpOptions),
    /// Memory of a filled store, and how long it takes to reopen
    Memory(MemoryOptions),
    /// All of the above
    All(AllOptions),
    /// The bare hyper server that `http` compares with
    #[command(hide = true)]
    Echo(EchoOptions),
    /// One process of `memory`: fills a store and waits to be killed
    #[command(hide = true)]
    MemoryFill(FillOptions),
    /// One process of `memory`: opens a store and reads it
    #[command(hide = true)]
    MemoryOpen(OpenOptions),
}

#[derive(Args, Clone)]
pub struct CommitOptions {
    /// Threads, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    pub threads: Vec<usize>,
    /// Datasets of one record each, chosen uniformly [default: 20000]
    #[arg(long)]
    pub datasets: Option<usize>,
    /// Datasets of the run on few identities, one each
    #[arg(long, default_value_t = 64)]
    pub few: usize,
    /// Seconds of each measurement [default: 3, quick 1]
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Rounds, in each of which every contestant has its turn [default: 5, quick 3]
    #[arg(long)]
    pub rounds: Option<NonZeroU16>,
    /// Who takes part: the engine, the engine on few identities, append and sync in groups, and
    /// append and sync one at a time
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = ["engine", "engine-few", "raw-group", "raw-alone"],
        default_value = "engine,raw-group,engine-few,raw-alone"
    )]
    pub contestants: Vec<String>,
}

#[derive(Args, Clone)]
pub struct HttpOptions {
    /// Keep-alive connections, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    pub connections: Vec<usize>,
    /// Identities with a dataset of one record each [default: 1000]
    #[arg(long)]
    pub identities: Option<usize>,
    /// Updates of one measurement on 64 connections; fewer on fewer [default: 40000, quick 8000]
    #[arg(long)]
    pub updates: Option<usize>,
    /// Rounds, in each of which every contestant has its turn [default: 5, quick 3]
    #[arg(long = "http-rounds", id = "http_rounds")]
    pub rounds: Option<NonZeroU16>,
    /// The server's binary [default: `syncline` beside this program]
    #[arg(long, value_name = "FILE")]
    pub server: Option<PathBuf>,
}

#[derive(Args, Clone)]
pub struct MemoryOptions {
    /// Identities to fill [default: 50000, quick 5000]
    #[arg(long = "memory-identities", id = "memory_identities")]
    pub identities: Option<usize>,
    /// Records of an identity
    #[arg(long, default_value_t = 20)]
    pub records_per_identity: usize,
    /// Over how many datasets an identity's records are spread, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,20")]
    pub datasets_per_identity: Vec<usize>,
    /// The cache of the store, in MiB
    #[arg(long, default_value_t = 64)]
    pub cache_mib: usize,
}

#[derive(Args, Clone)]
pub struct AllOptions {
    #[command(flatten)]
    pub commits: CommitOptions,
    #[command(flatten)]
    pub http: HttpOptions,
    #[command(flatten)]
    pub memory: MemoryOptions,
}

#[derive(Args, Clone)]
pub struct EchoOptions {
    /// Bytes of each answer's body
    #[arg(long)]
    pub answer_bytes: usize,
}

#[derive(Args, Clone)]
pub struct FillOptions {
    #[command(flatten)]
    pub shape: Shape,
}

#[derive(Args, Clone)]
pub struct OpenOptions {
    #[command(flatten)]
    pub shape: Shape,
}

/// A store as `memory` fills it.
#[derive(Args, Clone, Debug)]
pub struct Shape {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// Identities
    #[arg(long)]
    pub identities: usize,
    /// Datasets of an identity
    #[arg(long)]
    pub datasets: usize,
    /// Records of a dataset
    #[arg(long)]
    pub records: usize,
    /// Bytes of the cache
    #[arg(long)]
    pub cache_bytes: usize,
}
