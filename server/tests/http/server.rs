//! A server in this process, on a free port and a fresh directory.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use syncline_server::config::Config;
use syncline_server::listen::Bound;
use syncline_server::push;
use syncline_server::service::Service;
use syncline_server::site::Site;
use syncline_server::start;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::client::Client;

/// The developer's key of every server here.
pub(crate) const ROOT: (&str, &str) = ("AKIAROOT", "a-root-secret");

fn root(variable: &str) -> Option<String> {
    let value = if variable.contains("SECRET") {
        ROOT.1
    } else {
        ROOT.0
    };
    Some(value.to_owned())
}

/// A running server; dropped, it is cut off.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) config: Arc<Config>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<usize>,
    site: Weak<Site>,
    directory: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// With another configuration than the default one.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Config {
            data: directory.path().join("data"),
            ..Config::default()
        };
        Self::start_in(directory, config, change).await
    }

    async fn start_in(
        directory: tempfile::TempDir,
        mut config: Config,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        // Segments are written ahead; small ones start quickly.
        config.engine.segment_bytes = 1 << 20;
        change(&mut config);
        config.check().unwrap();
        let bound = Bound::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = bound.address();
        config.listen = address;
        let config = Arc::new(config);
        let site = start::open(Arc::clone(&config), root).unwrap();
        let held = Arc::downgrade(&site);
        let (stopping, stopped_pushing) = watch::channel(false);
        let pushing = tokio::spawn(push::run(Arc::clone(&site), stopped_pushing));
        let service = Arc::new(Service::new(site).await.unwrap());
        let listener = bound.listen().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn({
            let config = Arc::clone(&config);
            async move {
                // Told to stop by a message or by the end of the test.
                let stop = async { drop(stopped.await) };
                let cut_off = listener.serve(service, &config, stop).await;
                // Fails only if the task has ended already.
                let _ = stopping.send(true);
                pushing.await.unwrap();
                cut_off
            }
        });
        Self {
            address,
            config,
            stop: Some(stop),
            serving,
            site: held,
            directory,
        }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Stops it, lets `between` work on the data directory, and starts again with its
    /// configuration.
    pub(crate) async fn restart(mut self, between: impl FnOnce(&Config)) -> Self {
        self.stop();
        self.serving.await.unwrap();
        // Connections that were cut off let go of the store a moment later.
        while self.site.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
        between(&self.config);
        let config = Config::clone(&self.config);
        Self::start_in(self.directory, config, |_| ()).await
    }

    /// Tells it to stop, and does not wait.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has stopped; returns how many connections were cut off.
    pub(crate) async fn ended(self) -> usize {
        self.serving.await.unwrap()
    }
}
