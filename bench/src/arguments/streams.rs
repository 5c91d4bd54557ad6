//! What `streams` measures.

use std::num::NonZeroU16;

use clap::Args;

#[derive(Args, Clone)]
pub struct StreamsOptions {
    /// Datasets of 10 records of 100 bytes [default: 100000, quick 3000]
    #[arg(long)]
    pub stream_datasets: Option<usize>,
    /// Rounds, in each of which every sink has its turn [default: 3, quick 1]
    #[arg(long)]
    pub stream_rounds: Option<NonZeroU16>,
}
