//! The command line: what to measure, at which sizes, and where to put data and reports.

mod document;
mod streams;

use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use syncline_engine::Options;

use crate::choice::Choice;
pub use crate::http::options::HttpOptions;
pub use crate::listeners::options::ListenerOptions;
pub use document::DocumentOptions;
pub use streams::StreamsOptions;

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
    /// The server's binary [default: `syncline` beside this program]
    #[arg(long, global = true, value_name = "FILE")]
    pub server: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Durable single-record updates through the engine, beside raw append-and-sync
    Commits(CommitOptions),
    /// The same updates, of 1 and of 20 records, through other embedded stores too
    Peers(CommitOptions),
    /// Updates of callers that do not wait for each answer, beside a store that never syncs
    Pipelined(PipelineOptions),
    /// Listings of datasets, beside other embedded stores
    Reads(ReadOptions),
    /// Many datasets written, overwritten, followed and exported, beside other embedded stores
    Bulk(BulkOptions),
    /// Signed UpdateRecords and ListRecords over HTTP, beside bare hyper, Redis and PostgreSQL
    Http(HttpOptions),
    /// Memory of a server that does nothing, and of its idle connections
    Idle(IdleOptions),
    /// Event streams and messages to devices while datasets change: how soon, and at which memory
    Listeners(ListenerOptions),
    /// Memory of a filled store, and how long it takes to reopen
    Memory(MemoryOptions),
    /// What keeping the directory small and opening fast costs, and what comes of it
    Upkeep(UpkeepOptions),
    /// Changes on their way to files, beside the bare feed and disk, and a bulk publish
    Streams(StreamsOptions),
    /// All of the above
    All(Box<AllOptions>),
    /// The document of what was measured: tables, plots, and what people wrote to go with them
    Report(DocumentOptions),
    /// The server at full speed for a long time: what it takes of the machine, sampled
    Soak(SoakOptions),
    /// The server killed under load, again and again, with everything acknowledged verified
    Killing(KillingOptions),
    /// The server on a disk that becomes full, and has space again
    FullDisk(FullDiskOptions),
    /// The bare hyper server that `http` compares with
    #[command(hide = true)]
    Echo(EchoOptions),
    /// One process of `memory`: fills a store and waits to be killed
    #[command(hide = true)]
    MemoryFill(FillOptions),
    /// One process of `memory`: opens a store and reads it
    #[command(hide = true)]
    MemoryOpen(OpenOptions),
    /// One process of `upkeep`: fills, changes or opens a store
    #[command(hide = true)]
    UpkeepStage(StageOptions),
}

/// Who can take part in `commits`.
fn contestants() -> PossibleValuesParser {
    let ours = [
        "engine",
        "engine-few",
        "engine-zipf",
        "raw-group",
        "raw-alone",
    ];
    ours.into_iter().chain(crate::peers::CONTESTANTS).into()
}

#[derive(Args, Clone)]
pub struct CommitOptions {
    /// Threads, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    pub threads: Vec<usize>,
    /// Datasets [default: 20000]
    #[arg(long)]
    pub datasets: Option<usize>,
    /// How they are chosen, each thread among its own
    #[arg(long, value_enum, default_value_t = Choice::Uniform)]
    pub choice: Choice,
    /// Records of each, all of which an update writes
    #[arg(long, default_value_t = 1)]
    pub records: usize,
    /// Datasets of the run on few identities, one each
    #[arg(long, default_value_t = 64)]
    pub few: usize,
    /// Seconds of each measurement [default: 3, quick 1]
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Rounds, in each of which every contestant has its turn [default: 5, quick 3]
    #[arg(long)]
    pub rounds: Option<NonZeroU16>,
    /// Who takes part: the engine, the engine on few identities or with a skewed choice, append and
    /// sync in groups, append and sync one at a time; other stores, each update on its own or those
    /// that wait together [default: of `commits` all that are no other stores; of `peers` the
    /// engine, groups and all other stores]
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = contestants()
    )]
    pub contestants: Vec<String>,
}

#[derive(Args, Clone)]
pub struct PipelineOptions {
    /// Threads that send, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,8")]
    pub pipelines: Vec<usize>,
    /// Seconds of each measurement [default: 3, quick 0.5]
    #[arg(long)]
    pub pipeline_seconds: Option<f64>,
    /// Rounds, in each of which both have their turn [default: 5, quick 3]
    #[arg(long)]
    pub pipeline_rounds: Option<NonZeroU16>,
}

#[derive(Args, Clone)]
pub struct ReadOptions {
    /// Threads that list, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    pub readers: Vec<usize>,
    /// Seconds of each measurement [default: 2, quick 0.3]
    #[arg(long)]
    pub read_seconds: Option<f64>,
    /// Rounds, in each of which every contestant has its turn [default: 5, quick 3]
    #[arg(long)]
    pub read_rounds: Option<NonZeroU16>,
}

#[derive(Args, Clone)]
pub struct BulkOptions {
    /// Datasets of 10 records of 100 bytes [default: 200000, quick 20000]
    #[arg(long)]
    pub bulk_datasets: Option<usize>,
    /// Rounds, in each of which every contestant has its turn [default: 3]
    #[arg(long)]
    pub bulk_rounds: Option<NonZeroU16>,
}

#[derive(Args, Clone)]
pub struct IdleOptions {
    /// Connections that are kept open
    #[arg(
        long = "idle-connections",
        id = "idle_connections",
        default_value_t = 1000
    )]
    pub connections: usize,
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
pub struct UpkeepOptions {
    /// What is measured
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = ["opening", "amplification", "space", "latency"],
        default_value = "opening,amplification,space,latency"
    )]
    pub parts: Vec<String>,
    /// Datasets of stores that are opened, 20 to an identity; one more store is filled with as many
    /// as the first has, one to an identity [default: 200000,1000000, quick 20000,100000]
    #[arg(long, value_delimiter = ',')]
    pub open_datasets: Option<Vec<usize>>,
    /// How often each is opened, closed and killed [default: 5, quick 3]
    #[arg(long)]
    pub open_rounds: Option<NonZeroU16>,
    /// Other stores that are opened beside
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(crate::peers::NAMES),
        default_values_t = crate::peers::NAMES.map(str::to_owned)
    )]
    pub open_peers: Vec<String>,
    /// Updates before the late kills [default: as many as come before the next checkpoint]
    #[arg(long)]
    pub open_tail: Option<u64>,
    /// Datasets of 1 KiB for write amplification [default: 20000,200000, quick 5000]
    #[arg(long, value_delimiter = ',')]
    pub small_datasets: Option<Vec<usize>>,
    /// Datasets of 1 MiB for write amplification [default: 16, quick 4]
    #[arg(long)]
    pub large_datasets: Option<usize>,
    /// A log segment for write amplification and space, in KiB; a checkpoint is due as often as one
    /// is full, and four are retained
    #[arg(long, default_value_t = 16 << 10)]
    pub segment_kib: u64,
    /// Live data that are overwritten five times, in MiB [default: 256, quick 32]
    #[arg(long)]
    pub live_mib: Option<usize>,
    /// Datasets of 1 KiB of which those data are made [default: as many as fill them]
    #[arg(long)]
    pub live_datasets: Option<usize>,
    /// Threads that commit beside cleaner and checkpoints, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,8")]
    pub beside_threads: Vec<usize>,
    /// Seconds of each of those measurements [default: 5, quick 2]
    #[arg(long)]
    pub beside_seconds: Option<f64>,
    /// Rounds, in each of which both stores have their turn [default: 7, quick 3]
    #[arg(long)]
    pub beside_rounds: Option<NonZeroU16>,
}

#[derive(Args, Clone)]
pub struct AllOptions {
    #[command(flatten)]
    pub commits: CommitOptions,
    #[command(flatten)]
    pub pipelined: PipelineOptions,
    #[command(flatten)]
    pub reads: ReadOptions,
    #[command(flatten)]
    pub bulk: BulkOptions,
    #[command(flatten)]
    pub http: HttpOptions,
    #[command(flatten)]
    pub idle: IdleOptions,
    #[command(flatten)]
    pub listeners: ListenerOptions,
    #[command(flatten)]
    pub memory: MemoryOptions,
    #[command(flatten)]
    pub upkeep: UpkeepOptions,
    #[command(flatten)]
    pub streams: StreamsOptions,
}

#[derive(Args, Clone)]
pub struct SoakOptions {
    /// How long
    #[arg(long, default_value_t = 60.0)]
    pub minutes: f64,
    /// Keep-alive connections, each with identities of its own
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// Identities of four datasets each
    #[arg(long, default_value_t = 3200)]
    pub identities: usize,
    /// What the clients' choices begin with
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the samples go
    #[arg(long, value_name = "FILE")]
    pub csv: PathBuf,
    /// The run fails when the data directory takes more than this
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 30)]
    pub disk_bytes_max: u64,
}

#[derive(Args, Clone)]
pub struct KillingOptions {
    /// How often the server is killed
    #[arg(long, default_value_t = 100)]
    pub rounds: u32,
    /// Clients, each with a connection and identities of its own
    #[arg(long, default_value_t = 16)]
    pub clients: usize,
    /// The most changes that are acknowledged before a kill
    #[arg(long, default_value_t = 20_000)]
    pub changes: u64,
    /// What choices begin with; each round has the next one
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where a line for each round goes
    #[arg(long, value_name = "FILE")]
    pub log: PathBuf,
}

#[derive(Args, Clone)]
pub struct FullDiskOptions {
    /// A small file system of its own, empty
    #[arg(long, value_name = "DIR")]
    pub mount: PathBuf,
    /// Space that is taken at first and given back when the disk is full
    #[arg(long, value_name = "BYTES", default_value_t = 24 << 20)]
    pub filler_bytes: u64,
    /// Clients, each with a connection and identities of its own
    #[arg(long, default_value_t = 8)]
    pub clients: usize,
    /// Only tell whether deletes go on while the disk is full
    #[arg(long)]
    pub deletes_may_be_refused: bool,
}

#[derive(Args, Clone)]
pub struct EchoOptions {
    /// Bytes of each answer's body
    #[arg(long)]
    pub answer_bytes: usize,
    /// Append the body of each request to this file, and sync it, before the answer
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
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

/// What one process of `upkeep` does.
#[derive(Args, Clone)]
pub struct StageOptions {
    #[arg(value_enum)]
    pub task: Task,
    #[command(flatten)]
    pub shape: Shape,
    /// Updates that the store had since it was filled
    #[arg(long, default_value_t = 0)]
    pub updated: u64,
    /// Updates that `change` makes; without it, as many as come before the next checkpoint
    #[arg(long)]
    pub updates: Option<u64>,
    /// Another store than the engine
    #[arg(long)]
    pub peer: Option<String>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Fill a store, write a checkpoint, read the feed, close
    Fill,
    /// Update datasets, and wait to be killed
    Change,
    /// Open, look, close
    OpenAndClose,
    /// Open, look, and wait to be killed
    Open,
}

/// A store as `memory` and `upkeep` fill it.
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

impl Shape {
    /// With which it is opened.
    pub fn options(&self) -> Options {
        Options {
            cache_bytes: self.cache_bytes,
            ..Options::default()
        }
    }
}
