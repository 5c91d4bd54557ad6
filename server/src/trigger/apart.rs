//! Work on large texts, kept off the threads that serve requests: laid out, signed or read there, a
//! dataset of a megabyte would stop all of them that share the thread for milliseconds.

use tokio::sync::Semaphore;

/// From so many bytes on a text is worked on apart; less is done sooner than handed over.
const LARGE_BYTES: usize = 128 << 10;
/// Texts that are worked on apart at once; the others wait for their turn, so that a rush of them
/// leaves the processors to the requests, too.
const AT_ONCE: usize = 4;

/// Works on a text of about so many bytes where that holds up nobody. What panics there panics
/// here.
pub async fn apart<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    static ROOM: Semaphore = Semaphore::const_new(AT_ONCE);
    if bytes < LARGE_BYTES {
        return work();
    }
    let room = ROOM.acquire().await.expect("the semaphore is never closed");
    let working = tokio::task::spawn_blocking(move || {
        // Held until the work is done, also if nobody waits for it any more.
        let _room = room;
        work()
    });
    match working.await {
        Ok(done) => done,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn only_large_texts_leave_the_thread() {
        let here = thread::current().id();
        let worked_at = || thread::current().id();
        for (bytes, stays) in [
            (0, true),
            (LARGE_BYTES - 1, true),
            (LARGE_BYTES, false),
            (usize::MAX, false),
        ] {
            assert_eq!(apart(bytes, worked_at).await == here, stays, "{bytes}");
        }
    }

    #[tokio::test]
    async fn what_breaks_down_apart_gives_its_room_back() {
        for _ in 0..2 * AT_ONCE {
            let broken = tokio::spawn(apart(LARGE_BYTES, || panic!("as it should")));
            assert!(broken.await.unwrap_err().is_panic());
        }
        assert_eq!(apart(LARGE_BYTES, || 7).await, 7);
    }
}
