//! A deterministic, seeded directory in memory that loses what a real one may lose.
//!
//! # Fault model
//!
//! *Contents.* A file has live contents, which reads see, and durable contents, which a power
//! failure leaves. Between them lies a list of changes: writes, growth, cuts. A sync moves all of
//! them to the durable side.
//!
//! *Names.* A directory has live and durable names with the same kind of list between them:
//! appeared, vanished, moved. Syncing a directory moves its changes to the durable side, in their
//! order. A move between two directories needs both to be synced. Syncing a file says nothing about
//! its name; a file whose name is lost is gone, and so is all below a directory whose name is lost.
//!
//! *Power failure* ([`SimDisk::reboot`]). Of each file's changes a seeded selection survives:
//! nothing, everything, the changes up to one point, or each by itself with some probability. A
//! write is as many changes as it touches sectors of [`SECTOR_BYTES`], so it tears and is
//! reordered; a sector never tears. Two writes to one sector survive apart from each other, which
//! is worse than a page cache. Bytes that grew but were not written read as zeros. The names'
//! changes are selected in the same way, all directories together; each survives whole or not at
//! all, and a file never ends up with two names. The same state and seed give the same outcome;
//! rebooting a machine that is off again, with another seed, gives another outcome.
//!
//! *End of the process* ([`SimDisk::restart`]). Live contents and names stay, and what was not
//! durable still is not.
//!
//! *The call that meets the crash* ([`SimDisk::crash_at`]). A write gets as far as some byte, a
//! cut, growth or change of names happens or does not, a sync has done nothing more than a power
//! failure would have by itself. That call fails, and so does every later one, reads included.
//!
//! *A failed sync.* What the file had unsynced is in doubt: a seeded selection becomes durable, the
//! rest never will, though reads go on showing it and later syncs succeed. So works a page cache
//! that marks pages clean when their write-back failed. A directory's failed sync does the same to
//! its names.
//!
//! *A failed write.* [`Failure::Io`] lets any of its sectors through, [`Failure::NoSpace`] and
//! [`Failure::ShortWrite`] a beginning of it. Any other call that fails changes nothing.
//!
//! *Space* ([`SimDisk::set_capacity`]). Bytes are counted by the lengths of the files that can be
//! reached, by a name or because they are open: a hole takes space, a name takes none. A call that
//! needs more than is free fails with `ENOSPC`, a write after a beginning that fits. What a power
//! failure brings back may be more than the capacity; then nothing is free.
//!
//! *Other names* ([`SimDisk::add_name`]). A name that a backup gave a file elsewhere is a number,
//! which no failure changes.
//!
//! *Omission* ([`SimDisk::omit_syncs`], [`SimDisk::omit_site`]). A sync that is left out answers
//! well and does nothing, to show that some test would miss it.
//!
//! Not in the model: damage to bytes at rest (see [`SimDisk::flip_bit`]), sectors that are half
//! old and half new, writes that land elsewhere, reads that return old data after a failed sync.

use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod calls;
mod chance;
mod contents;
mod machine;
mod names;
mod orders;
mod sites;
#[cfg(test)]
mod tests;
mod trace;

pub use contents::SECTOR_BYTES;
pub use machine::Crash;
pub use orders::Failure;
pub use trace::{Call, Outcome, Traced};

use machine::Machine;
use orders::Orders;

/// A directory in memory, with faults. Clones are the same directory.
#[doc = include_str!("../examples/sim/sim_disk.md")]
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Machine>>);

impl SimDisk {
    /// An empty directory on a machine without faults. The seed decides everything that is left
    /// to chance.
    #[doc = include_str!("../examples/sim/new.md")]
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Machine::new(seed))))
    }

    /// Ends the machine by a power failure, if it is not off already, and starts another with what
    /// survived. Files, locks and clones of this one stay dead. The new machine counts from zero
    /// and has no faults set.
    #[doc = include_str!("../examples/sim/reboot.md")]
    #[must_use]
    pub fn reboot(&self, seed: u64) -> Self {
        self.machine().off = true;
        self.if_power_failed(seed)
    }

    /// The machine that [`SimDisk::reboot`] would start, while this one goes on.
    #[doc = include_str!("../examples/sim/if_power_failed.md")]
    #[must_use]
    pub fn if_power_failed(&self, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(
            self.machine().after_power_failure(seed),
        )))
    }

    /// Ends the process, not the machine: as [`SimDisk::reboot`], but everything written is still
    /// there, and what was not synced may be lost later.
    #[doc = include_str!("../examples/sim/restart.md")]
    #[must_use]
    pub fn restart(&self) -> Self {
        let mut machine = self.machine();
        machine.off = true;
        Self(Arc::new(Mutex::new(machine.under_next_process())))
    }

    /// Calls so far that change something or make it last: the points where a crash can differ.
    #[doc = include_str!("../examples/sim/calls.md")]
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.machine().changes
    }

    /// Calls so far that only look.
    #[doc = include_str!("../examples/sim/reads.md")]
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.machine().reads
    }

    /// Ends the machine in the `nth` changing call from now; 1 is the next one.
    #[doc = include_str!("../examples/sim/crash_at.md")]
    /// # Panics
    /// If `nth` is 0.
    pub fn crash_at(&self, nth: u64) {
        self.machine().crash_at(nth);
    }

    /// Whether the machine crashed or was replaced by a reboot.
    #[doc = include_str!("../examples/sim/is_off.md")]
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.machine().off
    }

    /// Lets one changing call fail: the first, from the `nth` on, that this failure can meet; 1 is
    /// the next call.
    #[doc = include_str!("../examples/sim/fail_once.md")]
    /// # Panics
    /// If `nth` is 0.
    pub fn fail_once(&self, nth: u64, failure: Failure) {
        self.machine().fail_change(nth, failure, false);
    }

    /// Lets every changing call that this failure can meet fail, from the `nth` on.
    #[doc = include_str!("../examples/sim/fail_from.md")]
    /// # Panics
    /// If `nth` is 0.
    pub fn fail_from(&self, nth: u64, failure: Failure) {
        self.machine().fail_change(nth, failure, true);
    }

    /// Lets the `nth` looking call from now fail with an I/O error.
    #[doc = include_str!("../examples/sim/fail_read_once.md")]
    /// # Panics
    /// If `nth` is 0.
    pub fn fail_read_once(&self, nth: u64) {
        self.machine().fail_read(nth, false);
    }

    /// Lets every looking call from the `nth` on fail with an I/O error.
    #[doc = include_str!("../examples/sim/fail_reads_from.md")]
    /// # Panics
    /// If `nth` is 0.
    pub fn fail_reads_from(&self, nth: u64) {
        self.machine().fail_read(nth, true);
    }

    /// Lets the next call fail for which `choice` says so, looking calls too: it is asked with the
    /// path, for a file its newest name, and with the method. A call that is chosen meets
    /// [`Failure::NoSpace`] if it changes anything or makes it last, needing space or not;
    /// [`Failure::ShortWrite`] still meets writes only. The choice must not call the disk.
    #[doc = include_str!("../examples/sim/fail_chosen_once.md")]
    pub fn fail_chosen_once(
        &self,
        failure: Failure,
        choice: impl FnMut(&Path, Call) -> bool + Send + 'static,
    ) {
        self.machine()
            .orders
            .fail_chosen(Box::new(choice), failure, false);
    }

    /// Lets every call fail for which `choice` says so, as [`SimDisk::fail_chosen_once`] does one.
    #[doc = include_str!("../examples/sim/fail_chosen.md")]
    pub fn fail_chosen(
        &self,
        failure: Failure,
        choice: impl FnMut(&Path, Call) -> bool + Send + 'static,
    ) {
        self.machine()
            .orders
            .fail_chosen(Box::new(choice), failure, true);
    }

    /// Bounds the bytes of all files together, which may be more already; `None` takes the bound
    /// away. A machine that follows this one has the same bound.
    #[doc = include_str!("../examples/sim/set_capacity.md")]
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.machine().capacity = bytes;
    }

    /// Gives a file one more name somewhere else, as a hard link of a backup does.
    #[doc = include_str!("../examples/sim/add_name.md")]
    /// # Panics
    /// If there is no such file.
    pub fn add_name(&self, path: impl AsRef<Path>) {
        self.machine().add_name(&place(path.as_ref()));
    }

    /// Takes back every failure that was ordered. What is in doubt stays so, and the capacity too.
    #[doc = include_str!("../examples/sim/repair.md")]
    pub fn repair(&self) {
        self.machine().orders = Orders::default();
    }

    /// Leaves out every sync for which `leave_out` says so: it is asked with the file's newest name
    /// or the directory, and with [`Call::Sync`] or [`Call::SyncDirectory`]. It must not call the
    /// disk.
    #[doc = include_str!("../examples/sim/omit_syncs.md")]
    pub fn omit_syncs(&self, leave_out: impl FnMut(&Path, Call) -> bool + Send + 'static) {
        self.machine().sites.omit_chosen(Box::new(leave_out));
    }

    /// Leaves out every sync of a site, beside what else is left out. A site is the kind of sync
    /// and the class of the path, in which N stands for each number, decimal or hexadecimal, such
    /// as `sync hot/N.log`, `sync_directory hot` and, for the root, `sync_directory .`.
    #[doc = include_str!("../examples/sim/omit_site.md")]
    pub fn omit_site(&self, site: &str) {
        self.machine().sites.omit(site.to_owned());
    }

    /// The sites of all syncs so far, whatever came of them, in alphabetical order.
    #[doc = include_str!("../examples/sim/sync_sites.md")]
    #[must_use]
    pub fn sync_sites(&self) -> Vec<String> {
        self.machine().sites.seen()
    }

    /// The last calls, oldest first.
    #[doc = include_str!("../examples/sim/trace.md")]
    #[must_use]
    pub fn trace(&self) -> Vec<Traced> {
        self.machine().trace.calls()
    }

    /// The files that have a name now, in order.
    #[doc = include_str!("../examples/sim/files.md")]
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.machine().names.files()
    }

    /// What a read of the whole file would give, if there is one of that name.
    #[doc = include_str!("../examples/sim/live_bytes.md")]
    #[must_use]
    pub fn live_bytes(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.machine().live_bytes(&place(path.as_ref()))
    }

    /// What is certain to be under that name after a power failure, apart from unsynced changes
    /// that happen to survive it.
    #[doc = include_str!("../examples/sim/durable_bytes.md")]
    #[must_use]
    pub fn durable_bytes(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.machine().durable_bytes(&place(path.as_ref()))
    }

    /// Damages a file at rest: turns over the bit `bit` (0 to 7) of one byte, live and durable.
    #[doc = include_str!("../examples/sim/flip_bit.md")]
    /// # Panics
    /// If there is no such file or byte, or if something in it is not synced.
    pub fn flip_bit(&self, path: impl AsRef<Path>, offset: usize, bit: u32) {
        assert!(bit < 8, "a byte has 8 bits");
        self.machine()
            .damage(&place(path.as_ref()), |bytes| bytes[offset] ^= 1 << bit);
    }

    /// Damages a file at rest: cuts it, live and durable.
    #[doc = include_str!("../examples/sim/truncate.md")]
    /// # Panics
    /// If there is no such file, it is not longer, or something in it is not synced.
    pub fn truncate(&self, path: impl AsRef<Path>, length: usize) {
        self.machine().damage(&place(path.as_ref()), |bytes| {
            assert!(length < bytes.len(), "nothing to cut");
            bytes.truncate(length);
        });
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        locked(&self.0)
    }
}

/// A panic elsewhere, in a test's predicate for one, leaves nothing half-done in the machine.
fn locked(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One spelling for each path; the root is the empty one.
fn place(path: &Path) -> PathBuf {
    let below = |part| match part {
        Component::Normal(name) => Some(name),
        Component::CurDir => None,
        _ => panic!("{} leaves the data directory", path.display()),
    };
    path.components().filter_map(below).collect()
}
