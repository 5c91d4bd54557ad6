//! One who listens: what it has not heard yet, and how it is woken.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use syncline_engine::DatasetName;

/// The newest state of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Its count.
    pub sync_count: u64,
    /// Whether it exists.
    pub exists: bool,
}

/// What a listener hears.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Datasets that changed, as they are now.
    pub changes: BTreeMap<DatasetName, Change>,
    /// Nothing more will be heard: the server stops, or lost its place in the feed.
    pub ended: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Listener {
    /// The datasets that it wants to hear of, in order; `None`: all.
    names: Option<Box<[DatasetName]>>,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    news: News,
    /// Something is to be looked at, if only whether access has ended.
    rung: bool,
    waker: Option<Waker>,
}

impl Listener {
    pub(super) fn new(names: Option<Vec<DatasetName>>) -> Self {
        let names = names.map(|mut names| {
            names.sort_unstable();
            names.dedup();
            names.into_boxed_slice()
        });
        Self {
            names,
            heard: Mutex::default(),
        }
    }

    /// A dataset has changed.
    pub(super) fn tell(&self, dataset: &DatasetName, change: Change) {
        let names = self.names.as_deref();
        if names.is_some_and(|names| names.binary_search(dataset).is_err()) {
            return;
        }
        let mut heard = self.lock();
        heard.news.changes.insert(dataset.clone(), change);
        ring(heard);
    }

    /// Access may have ended.
    pub(super) fn look(&self) {
        ring(self.lock());
    }

    /// Nothing more will be heard.
    pub(super) fn end(&self) {
        let mut heard = self.lock();
        heard.news.ended = true;
        ring(heard);
    }

    pub(super) fn poll(&self, task: &mut Context<'_>) -> Poll<News> {
        let mut heard = self.lock();
        if std::mem::take(&mut heard.rung) {
            let ended = heard.news.ended;
            let news = std::mem::take(&mut heard.news);
            // Once over it stays over.
            heard.news.ended = ended;
            heard.rung = ended;
            return Poll::Ready(news);
        }
        let waker = task.waker();
        if !heard
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            heard.waker = Some(waker.clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ring(mut heard: MutexGuard<'_, Heard>) {
    heard.rung = true;
    let waker = heard.waker.take();
    drop(heard);
    if let Some(waker) = waker {
        waker.wake();
    }
}
