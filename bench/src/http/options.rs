//! What `http` can be told.

use std::num::NonZeroU16;

use clap::Args;

/// Sizes, and who takes part.
#[derive(Args, Clone)]
pub struct HttpOptions {
    /// Keep-alive connections, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,1000")]
    pub connections: Vec<usize>,
    /// Identities with a dataset of one record each [default: 1000]
    #[arg(long)]
    pub identities: Option<usize>,
    /// Requests of one measurement; fewer on fewer than 16 connections [default: 40000, quick 8000]
    #[arg(long)]
    pub requests: Option<usize>,
    /// What is measured beside the server: bare hyper with and without a log, and servers of
    /// others, which are left out where they are not installed
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = ["log", "echo", "redis", "postgresql"],
        default_value = "log,echo,redis,postgresql"
    )]
    pub beside: Vec<String>,
    /// Updates a second at which latency is measured, from when each was due, on 64 connections
    #[arg(long, value_delimiter = ',', default_value = "2000,10000")]
    pub rates: Vec<u32>,
    /// Rounds, in each of which every contestant has its turn [default: 5, quick 3]
    #[arg(long = "http-rounds", id = "http_rounds")]
    pub rounds: Option<NonZeroU16>,
}
