//! The command line: which command, and how its end is told.

mod backup;
mod before;
mod check;
mod compact;
mod configuration;
mod export;
mod import;
mod key;
mod place;
mod progress;
mod publish;
mod purge;
mod repair;
mod restore;
mod say;
mod serve;
mod stats;
mod stopped;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use syncline_server::error::Chain;

use backup::Backup;
use check::Check;
use compact::Compact;
use configuration::ConfigCommand;
use export::Export;
use import::Import;
use key::KeyCommand;
use publish::Publish;
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
///
/// Exit codes: 0 if it was done, 1 if not or if `check` found problems, 2 if the command line is
/// not understood.
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
    ///
    /// With `--format parquet` it is a table for analysts, which cannot be imported: a row for each
    /// record that there is, with its pool, identity, dataset, key, value, sync count, when and by
    /// which device it was changed (none: the identity itself), and when the device says it was.
    Export(Export),
    /// Take over what `export` wrote, while the server is stopped.
    ///
    /// Every line of a file is checked before anything is changed. A data directory that does not
    /// exist is made, and taken away again if the import fails. What is there already is passed
    /// over, so an import that was interrupted can be run again.
    Import(Import),
    /// Send a pool's changes, or everything it has, to a configured stream once more.
    ///
    /// The server must be stopped. How far its own delivery is does not change. Events have the ids
    /// that they always have, so that who has them already can drop them.
    Publish(Publish),
    /// Check a configuration, or print an example.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Verify every byte and every count of a data directory, while the server is stopped.
    ///
    /// Changes nothing. Exits with 0 if all holds, and with 1 and a line per problem if not. A
    /// backup can be checked, too.
    Check(Check),
    /// Save what can be read of a damaged data directory, and say what is lost.
    ///
    /// The server must be stopped. A sound directory stays as it is. The files of the damaged store
    /// are kept in DIR/quarantine. Needs free space for everything that lives. Exits with 0 if the
    /// directory is sound then, also where something is lost, and with 1 if it was not repaired.
    Repair(Repair),
    /// Show figures of a data directory, while the server is stopped.
    Stats(Stats),
    /// Make a directory from which the data can be restored.
    ///
    /// On the same file system its files are links: that takes no time, and space only for what
    /// the server deletes later.
    ///
    /// A server that runs makes one itself, beneath the directory that [backup] names in its
    /// configuration: POST /syncline/v1/backup with {"to": "NAME"}, signed with a developer's key
    /// for the service cognito-sync.
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
    let CommandLine { command, serve } = CommandLine::try_parse().unwrap_or_else(|error| {
        if error.kind() == ErrorKind::ArgumentConflict
            && let Some(meant) = meant(std::env::args().collect())
        {
            // If nobody reads it, the exit code still tells.
            let _ = writeln!(
                std::io::stderr(),
                "error: options go behind the command: `{meant}`"
            );
            std::process::exit(2);
        }
        error.exit()
    });
    match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(serve) => serve::run(serve),
        Command::Key(command) => told(key::run(command)),
        Command::Export(export) => told(export.run()),
        Command::Import(import) => told(import.run()),
        Command::Publish(publish) => told(publish.run()),
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

/// What may have been meant by options before a command.
fn meant(mut arguments: Vec<String>) -> Option<String> {
    let known = CommandLine::command();
    let is_command = |word: &String| known.find_subcommand(word).is_some();
    let at = arguments.iter().skip(1).position(is_command)? + 1;
    let before: Vec<String> = arguments.drain(1..at).collect();
    arguments.extend(before);
    CommandLine::try_parse_from(&arguments).ok()?;
    Some(format!("syncline {}", arguments[1..].join(" ")))
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
