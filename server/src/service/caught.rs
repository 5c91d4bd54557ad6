//! A future whose panic is an answer and not the end of its task.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs a future; `None` if it panicked, which the panic hook has told the log. It is never
/// polled again after that, and what it shared with others is behind locks or channels, so nobody
/// sees it half-way.
pub(super) async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(
        |task| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(task))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_answer_also_after_a_wait() {
        assert_eq!(caught(async { 7 }).await, Some(7));
        let at = 3;
        let late = async {
            tokio::task::yield_now().await;
            assert!(at == 4, "at {at}");
        };
        assert_eq!(caught(late).await, None);
    }
}
