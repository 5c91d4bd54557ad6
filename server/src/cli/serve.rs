//! `syncline serve`: starts the server, stops it on a signal.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use syncline_server::config::Config;
use syncline_server::error::Chain;
use syncline_server::listen::Bound;
use syncline_server::pump::Pump;
use syncline_server::push;
use syncline_server::service::Service;
use syncline_server::site::Site;
use syncline_server::start;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use super::configuration::remarks;
use super::place::Place;

/// How long closing the store may take when the connections are gone. With the longest
/// `timeouts.shutdown_ms` this stays within the 10 seconds in which the server promises to stop.
const CLOSE: Duration = Duration::from_millis(900);

/// Flags of the command.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    place: Place,
    /// Where to accept connections; port 0 takes a free one [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR:PORT", env = "SYNCLINE_LISTEN")]
    listen: Option<SocketAddr>,
}

/// Runs until it is told to stop.
pub(crate) fn run(options: Serve) -> ExitCode {
    start_log();
    match start_and_serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // A panic is a bug; it belongs into the log, with the request that it happened in.
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!("{panic}\n{backtrace}");
    }));
}

fn start_and_serve(options: Serve) -> Result<(), Box<dyn Error>> {
    let mut config = options.place.read()?;
    config.listen = options.listen.unwrap_or(config.listen);
    config.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(config));
    // Threads that still read from the disk have nobody left to answer to.
    runtime.shutdown_background();
    result
}

async fn serve(mut config: Config) -> Result<(), Box<dyn Error>> {
    let bound = Bound::bind(config.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    config.listen = bound.address();
    for remark in remarks() {
        tracing::warn!("{remark}");
    }
    let config = Arc::new(config);
    let site = start::open(Arc::clone(&config), |name| std::env::var(name).ok())?;
    let service = Arc::new(Service::new(Arc::clone(&site)).await?);
    let pump = Pump::new(Arc::clone(&site))?;
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let listener = bound.listen()?;
    say_ready(&site);

    let (stopping, stopped) = watch::channel(false);
    let pushing = tokio::spawn(push::run(Arc::clone(&site), stopped.clone()));
    let tending = tokio::spawn({
        let site = Arc::clone(&site);
        let stopped = stopped.clone();
        async move { site.tend(stopped).await }
    });
    let pumping = tokio::spawn(pump.run(stopped));
    let stop = async {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!("{name}: stopping");
    };
    let cut_off = listener.serve(service, &config, stop).await;
    if cut_off > 0 {
        tracing::warn!("{cut_off} connections did not finish in time and were cut off");
    }
    let close = async {
        // Fails only if the task has ended already.
        let _ = stopping.send(true);
        tending.await?;
        pumping.await?;
        pushing.await?;
        site.close().await?;
        Ok::<(), Box<dyn Error>>(())
    };
    match tokio::time::timeout(CLOSE, close).await {
        Ok(closed) => closed?,
        Err(_) => tracing::warn!("the store did not close in time; the next start recovers it"),
    }
    tracing::info!("stopped");
    Ok(())
}

/// One line on stdout, for scripts; the rest on stderr, for people.
fn say_ready(site: &Site) {
    let (config, url) = (&site.config, site.config.public_url());
    let key = match &site.root.file {
        Some(file) => format!("the root access key is in {}", file.display()),
        None => "the root access key is that of the environment".to_owned(),
    };
    tracing::info!("data in {}; {key}", config.data.display());
    match &site.root.file {
        Some(file) => tracing::info!(
            "try: AWS_SHARED_CREDENTIALS_FILE={} aws --region {} --endpoint-url {url} \
             cognito-sync list-identity-pool-usage",
            file.display(),
            config.region,
        ),
        None => tracing::info!("clients use {url} as endpoint for both APIs"),
    }
    let mut stdout = std::io::stdout().lock();
    let said = writeln!(stdout, "syncline listening on http://{}", config.listen);
    if let Err(error) = said.and_then(|()| stdout.flush()) {
        // Whoever does not want the line may still want the server.
        tracing::warn!("cannot write to stdout: {error}");
    }
}
