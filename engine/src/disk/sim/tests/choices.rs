//! Failures of chosen calls, of every kind, once and for good.

use std::io::{self, ErrorKind};

use super::*;

type Trial = (Call, fn(&SimDisk) -> io::Result<()>);

/// Every call of the disk and of its files, each by itself.
const TRIALS: [Trial; 15] = [
    (Call::List, |disk| disk.list(at("")).map(drop)),
    (Call::Open, |disk| disk.open(at("f")).map(drop)),
    (Call::Lock, |disk| disk.lock().map(drop)),
    (Call::Names, |disk| disk.names(at("f")).map(drop)),
    (Call::Share, |disk| {
        disk.share(at("f"), disk, at("g")).map(drop)
    }),
    (Call::FreeBytes, |disk| disk.free_bytes().map(drop)),
    (Call::Length, |disk| disk.open(at("f"))?.length().map(drop)),
    (Call::Read, |disk| {
        disk.open(at("f"))?.read_at(&mut [0], 0).map(drop)
    }),
    (Call::CreateDirectory, |disk| disk.create_directory(at("d"))),
    (Call::Create, |disk| disk.create(at("f")).map(drop)),
    (Call::Rename, |disk| disk.rename(at("f"), at("f"))),
    (Call::SyncDirectory, |disk| disk.sync_directory(at(""))),
    (Call::Write, |disk| {
        disk.open(at("f"))?.write_at(&[IoSlice::new(b"x")], 0)
    }),
    (Call::SetLength, |disk| disk.open(at("f"))?.set_length(3)),
    (Call::Sync, |disk| disk.open(at("f"))?.sync()),
];

fn failures(call: Call) -> Vec<(Failure, ErrorKind)> {
    let io = io::Error::from_raw_os_error(5).kind();
    let mut failures = vec![(Failure::Io, io)];
    if call.changes() {
        failures.push((Failure::NoSpace, ErrorKind::StorageFull));
    }
    if call == Call::Write {
        failures.push((Failure::ShortWrite, ErrorKind::WriteZero));
    }
    failures
}

#[test]
fn every_call_fails_once_in_every_way_that_it_can() {
    for (call, run) in TRIALS {
        for (failure, kind) in failures(call) {
            let (disk, _) = with_file(1, "f", b"abc");
            disk.fail_chosen_once(failure, move |_, asked| asked == call);
            assert_eq!(run(&disk).unwrap_err().kind(), kind, "{call:?}");
            let trace = disk.trace();
            let last = trace.iter().rfind(|traced| traced.call == call).unwrap();
            assert_eq!(last.outcome, Outcome::Failed(failure), "{call:?}");
            run(&disk).unwrap();
        }
    }
}

#[test]
fn every_call_fails_until_it_is_repaired() {
    for (call, run) in TRIALS {
        for (failure, kind) in failures(call) {
            let (disk, _) = with_file(1, "f", b"abc");
            disk.fail_chosen(failure, move |_, asked| asked == call);
            for _ in 0..3 {
                assert_eq!(run(&disk).unwrap_err().kind(), kind, "{call:?}");
            }
            for (_, other) in TRIALS.iter().filter(|(other, _)| *other != call) {
                // Calls to a file open it first.
                assert!(call == Call::Open || other(&disk).is_ok(), "{call:?}");
            }
            disk.repair();
            run(&disk).unwrap();
        }
    }
}

#[test]
fn a_removal_that_fails_leaves_the_name() {
    let (disk, _) = with_file(2, "f", b"abc");
    disk.fail_chosen_once(Failure::NoSpace, |_, call| call == Call::Remove);
    assert_eq!(
        disk.remove(at("f")).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(names(&disk), ["f"]);
    disk.remove(at("f")).unwrap();
}

#[test]
fn a_choice_may_look_at_the_path() {
    let (disk, file) = with_file(3, "a", b"abc");
    let other = disk.create(at("b")).unwrap();
    disk.fail_chosen(Failure::Io, |path, _| path == at("a"));
    file.length().unwrap_err();
    file.sync().unwrap_err();
    other.sync().unwrap();
    disk.fail_chosen(Failure::ShortWrite, |path, _| path == at("b"));
    other.sync().unwrap();
    other.write_at(&[IoSlice::new(b"x")], 0).unwrap_err();
}

#[test]
fn what_a_sync_without_space_leaves_is_in_doubt() {
    let (disk, file) = with_file(4, "f", b"old");
    write(&*file, b"new", 0);
    disk.fail_chosen_once(Failure::NoSpace, |_, call| call == Call::Sync);
    file.sync().unwrap_err();
    file.sync().unwrap();
    let one = outcomes(&disk, |disk| text(disk, "f"));
    assert_eq!(one.len(), 1, "decided when the sync failed");
}
