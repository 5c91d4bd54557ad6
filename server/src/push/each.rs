//! Messages to a service that takes one in a request.

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::message::{Parcel, Verdict};

/// What sends one message and knows what becomes of it.
pub(super) trait Deliver: Send + Sync + 'static {
    /// A verdict. `seconds` is the time, since 1970.
    fn deliver(&self, parcel: &Parcel, seconds: u64) -> impl Future<Output = Verdict> + Send;
}

/// Sends each message by itself, all at once: the connections bound how many are on their way. A
/// verdict for each, in their order; one that panicked, which the log has, is tried again.
pub(super) async fn each<Service: Deliver>(
    service: &Arc<Service>,
    parcels: &[Parcel],
    seconds: u64,
) -> Vec<Verdict> {
    let mut sending = JoinSet::new();
    for (place, parcel) in parcels.iter().cloned().enumerate() {
        let service = Arc::clone(service);
        sending.spawn(async move { (place, service.deliver(&parcel, seconds).await) });
    }
    let mut verdicts = vec![Verdict::Failed; parcels.len()];
    while let Some(done) = sending.join_next().await {
        if let Ok((place, verdict)) = done {
            verdicts[place] = verdict;
        }
    }
    verdicts
}
