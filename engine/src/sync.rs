//! The locks, atomics and threads that the store is made of: those of the standard library, or,
//! under the feature `shuttle`, those of a scheduler that tries many orders of their steps.

pub(crate) use std::sync::{Arc, OnceLock, PoisonError};

#[cfg(feature = "shuttle")]
mod condvar;

#[cfg(feature = "shuttle")]
pub(crate) use condvar::Condvar;
#[cfg(feature = "shuttle")]
pub(crate) use shuttle::{
    sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic},
    thread,
};
#[cfg(not(feature = "shuttle"))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic},
    thread,
};
