//! A future that runs to its end also when nobody waits for it any more.
//!
//! While its caller waits it runs where the caller does, which saves the task and the wakes that
//! handing it over from the start would take.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// See the module. Dropped before its end it goes on as a task of its own, unless the runtime
/// itself ends.
pub(super) struct Finishing<T: Send + 'static>(Option<Boxed<T>>);

impl<T: Send + 'static> Finishing<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<T: Send + 'static> Future for Finishing<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<T> {
        // Taken out meanwhile: one that panics must not go on.
        let mut future = self.0.take().expect("not polled again after its end");
        let poll = future.as_mut().poll(task);
        if poll.is_pending() {
            self.0 = Some(future);
        }
        poll
    }
}

impl<T: Send + 'static> Drop for Finishing<T> {
    fn drop(&mut self) {
        if let (Some(future), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_answers_who_waits_and_goes_on_when_nobody_does() {
        assert_eq!(Finishing::new(async { 7 }).await, 7);
        for polled in [false, true] {
            let (go, gone) = oneshot::channel::<()>();
            let (done, told) = oneshot::channel();
            let mut finishing = Finishing::new(async move {
                gone.await.unwrap();
                done.send(()).unwrap();
            });
            if polled {
                let first = std::future::poll_fn(|task| {
                    Poll::Ready(Pin::new(&mut finishing).poll(task).is_pending())
                });
                assert!(first.await);
            }
            drop(finishing);
            go.send(()).unwrap();
            told.await.unwrap();
        }
    }

    #[tokio::test]
    async fn one_that_panicked_does_not_go_on() {
        let (held, ended) = oneshot::channel::<()>();
        let finishing = Finishing::new(async move {
            let _held = held;
            tokio::task::yield_now().await;
            panic!("as it should");
        });
        assert!(tokio::spawn(finishing).await.is_err());
        // What it held is dropped.
        assert!(ended.await.is_err());
    }
}
