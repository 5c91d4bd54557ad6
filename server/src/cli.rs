//! The command line: which command, and how its end is told.

mod backup;
mod check;
mod compact;
mod configuration;
mod export;
mod import;
mod key;
mod place;
mod progress;
mod purge;
mod repair;
mod restore;
mod serve;
mod stats;
mod stopped;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use syncline_server::error::Chain;

use backup::Backup;
use check::Check;
use compact::Compact;
use configuration::ConfigCommand;
use export::Export;
use import::Import;
use key::KeyCommand;
use purge::Purge;
use repair::Repair;
use restore::Restore;
use serve::Serve;
use stats::Stats;

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
    /// Write everything, a pool or an identity to a file of JSON lines, the server being stopped.
    ///
    /// Everything includes what the server keeps in the store: identities, logins, devices and the
    /// access keys' records, but not the files `keys` and `credentials`, which hold the secrets:
    /// copy them beside it.
    Export(Export),
    /// Take over what `export` wrote, while the server is stopped.
    ///
    /// A data directory that does not exist is made. What is there already is passed over, so an
    /// import that was interrupted can be run again.
    Import(Import),
    /// Check a configuration, or print an example.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Verify every byte and every count of a data directory, while the server is stopped.
    ///
    /// Changes nothing. Exits with 0 if all holds, and with 1 and a line per problem if not.
    Check(Check),
    /// Save what can be read of a damaged data directory, and say what is lost.
    ///
    /// The server must be stopped. A sound directory stays as it is. The files of the damaged store
    /// are kept in DIR/quarantine. Needs free space for everything that lives.
    Repair(Repair),
    /// Show figures of a data directory, while the server is stopped.
    Stats(Stats),
    /// Make a directory from which the data can be restored, while the server is stopped.
    ///
    /// On the same file system its files are links: that takes no time, and space only for what
    /// the server deletes later.
    Backup(Backup),
    /// Make a data directory from a backup.
    ///
    /// Every byte is verified. Sync counts go on above all that can have been given out, so that
    /// devices which saw more than was restored get everything anew.
    Restore(Restore),
    /// Make the data directory as small as the feed's retention allows, while the server is
    /// stopped.
    Compact(Compact),
    /// Take every byte of what was deleted out of the data directory, while the server is stopped.
    Purge(Purge),
}

/// Does what the arguments say.
pub(crate) fn run() -> ExitCode {
    let CommandLine { command, serve } = CommandLine::parse();
    match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(serve) => serve::run(serve),
        Command::Key(command) => told(key::run(command)),
        Command::Export(export) => told(export.run()),
        Command::Import(import) => told(import.run()),
        Command::Config(command) => told(configuration::run(command)),
        Command::Check(check) => told(check.run()),
        Command::Repair(repair) => told(repair.run()),
        Command::Stats(stats) => told(stats.run()),
        Command::Backup(command) => told(command.run()),
        Command::Restore(command) => told(command.run()),
        Command::Compact(command) => told(command.run()),
        Command::Purge(command) => told(command.run()),
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
