//! The command line: which command, and how its end is told.

mod configuration;
mod key;
mod place;
mod serve;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use syncline_server::error::Chain;

use configuration::ConfigCommand;
use key::KeyCommand;
use serve::Serve;

/// A self-hosted replacement for Amazon Cognito Sync.
///
/// Without a command the server runs, as with `serve`. Flags go before the environment, the
/// environment before the configuration file, and that before the defaults. RUST_LOG sets what is
/// logged to stderr (default: info).
#[derive(Debug, Parser)]
#[command(name = "syncline", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server: Cognito Sync and Cognito Identity on one address.
    ///
    /// The first start makes a root access key and writes it to DIR/credentials, unless
    /// SYNCLINE_ROOT_ACCESS_KEY_ID and SYNCLINE_ROOT_SECRET_ACCESS_KEY are set.
    Serve(Serve),
    /// Make, show, disable and delete developers' access keys, while the server is stopped.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Check a configuration, or print an example.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Does what the arguments say.
pub(crate) fn run() -> ExitCode {
    let CommandLine { command, serve } = CommandLine::parse();
    match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(serve) => serve::run(serve),
        Command::Key(command) => told(key::run(command)),
        Command::Config(command) => told(configuration::run(command)),
    }
}

/// Tells people what went wrong; there is no log.
fn told(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If nobody reads it, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "error: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}
