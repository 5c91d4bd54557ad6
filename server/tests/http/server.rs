//! A server in this process, on a free port and a fresh directory.

use std::net::SocketAddr;
use std::sync::Arc;

use syncline_server::config::Config;
use syncline_server::listen::Listener;
use syncline_server::service::Service;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::Client;

/// A running server; dropped, it is cut off.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) config: Arc<Config>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<usize>,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// With another configuration than the default one.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data = directory.path().join("data");
        change(&mut config);
        config.check().unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        config.listen = listener.address();
        let config = Arc::new(config);
        let service = Arc::new(Service::new(Arc::clone(&config)).await.unwrap());
        let (stop, stopped) = oneshot::channel();
        let address = listener.address();
        let serving = tokio::spawn({
            let config = Arc::clone(&config);
            async move {
                // Told to stop by a message or by the end of the test.
                let stop = async { drop(stopped.await) };
                listener.serve(service, &config, stop).await
            }
        });
        Self { address, config, stop: Some(stop), serving, _directory: directory }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
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
