//! How those who deliver are told to end.

use tokio::sync::watch;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Go on.
    Run,
    /// End at the present, or with the first trouble.
    Flush,
    /// End now.
    Stop,
}

/// Hears it.
#[derive(Clone, Debug)]
pub(super) struct Phases(watch::Receiver<Phase>);

/// Something to say it with, at first to go on.
pub(super) fn phases() -> (watch::Sender<Phase>, Phases) {
    let (sender, receiver) = watch::channel(Phase::Run);
    (sender, Phases(receiver))
}

impl Phases {
    /// What is to be done now.
    pub(super) fn now(&self) -> Phase {
        *self.0.borrow()
    }

    /// Resolves when everything is to end, at the present at the latest.
    pub(super) async fn flushing(&mut self) {
        self.reach(Phase::Flush).await;
    }

    /// Resolves when everything is to end now.
    pub(super) async fn stopped(&mut self) {
        self.reach(Phase::Stop).await;
    }

    async fn reach(&mut self, least: Phase) {
        // Nobody left to say it means the same.
        let _ = self.0.wait_for(|phase| *phase >= least).await;
    }
}
