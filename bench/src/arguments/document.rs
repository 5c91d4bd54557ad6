//! What `report` makes its document of, and where it goes.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Clone)]
pub struct DocumentOptions {
    /// Where the JSON files of the measurements are [default: the directory of --report]
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Where BENCHMARKS.md goes; its plots go below bench/ there, in place of all SVG files
    #[arg(long, value_name = "DIR", default_value = "docs")]
    pub into: PathBuf,
    /// What people wrote: page.md, which says where figures go, and lost.md, why rows are lost
    #[arg(long, value_name = "DIR", default_value = "bench/report")]
    pub prose: PathBuf,
}
