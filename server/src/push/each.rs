//! Messages to a service that takes one in a request.

use std::future::Future;

use tokio::task::JoinSet;

use super::message::{Parcel, Verdict};

/// Sends each message by itself, all at once: the connections bound how many are on their way. A
/// verdict for each, in their order; one that panicked, which the log has, is tried again.
pub(super) async fn each<Sent>(parcels: &[Parcel], send: impl Fn(Parcel) -> Sent) -> Vec<Verdict>
where
    Sent: Future<Output = Verdict> + Send + 'static,
{
    let mut sending = JoinSet::new();
    for (place, parcel) in parcels.iter().enumerate() {
        let sent = send(parcel.clone());
        sending.spawn(async move { (place, sent.await) });
    }
    let mut verdicts = vec![Verdict::Failed; parcels.len()];
    while let Some(done) = sending.join_next().await {
        if let Ok((place, verdict)) = done {
            verdicts[place] = verdict;
        }
    }
    verdicts
}
