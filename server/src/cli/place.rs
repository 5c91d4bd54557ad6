//! Which server a command is about: its configuration file and its data directory.

use std::path::PathBuf;

use clap::Args;
use syncline_server::config::{Config, ConfigError};

/// Flags that all commands have which need a configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// The data directory [default: ./syncline-data]
    #[arg(long, value_name = "DIR", env = "SYNCLINE_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// A configuration file (TOML); `syncline config example` prints one
    #[arg(long, value_name = "FILE", env = "SYNCLINE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

impl Place {
    /// Defaults, the file over them, the environment over that, the flags over all. The result is
    /// not checked yet.
    pub(crate) fn read(self) -> Result<Config, ConfigError> {
        let variable = |name: &str| std::env::var(name).ok();
        let mut config = Config::layered(self.config.as_deref(), variable)?;
        config.data = self.data.unwrap_or(config.data);
        Ok(config)
    }

    /// The data directory alone.
    pub(crate) fn directory(self) -> Result<PathBuf, ConfigError> {
        Ok(self.read()?.data)
    }
}
