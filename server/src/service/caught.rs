//! A future whose panic is an answer and not the end of its task.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs a future; `Err` holds the words of its panic. It is never polled again after that, and
/// what it shared with others is behind locks or channels, so nobody sees it half-way.
pub(super) async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(words(panic.as_ref()))),
        }
    })
    .await
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without words").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_answer_also_after_a_wait() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let at = 3;
        let late = async {
            tokio::task::yield_now().await;
            assert!(at == 4, "at {at}");
        };
        assert_eq!(caught(late).await, Err("at 3".to_owned()));
        assert_eq!(caught(async { panic!("fixed") }).await, Err::<(), _>("fixed".to_owned()));
    }
}
