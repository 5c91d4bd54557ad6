//! A disk that is full, and has space again.

use std::io::ErrorKind;

use super::*;
use crate::disk::Failure;

#[test]
fn without_a_capacity_there_is_always_space() {
    let (disk, _) = with_file(1, "f", b"abc");
    assert_eq!(disk.free_bytes().unwrap(), u64::MAX / 2);
    disk.set_capacity(Some(10));
    assert_eq!(disk.free_bytes().unwrap(), 7);
    disk.set_capacity(None);
    assert_eq!(disk.free_bytes().unwrap(), u64::MAX / 2);
}

#[test]
fn what_does_not_fit_fails_and_what_is_there_can_be_written() {
    let (disk, file) = with_file(2, "f", &[b'o'; 1000]);
    disk.set_capacity(Some(1500));
    let other = disk.create(at("g")).unwrap();
    write(&*other, &[b'g'; 400], 0);
    assert_eq!(disk.free_bytes().unwrap(), 100);

    write(&*file, &[b'n'; 1000], 0);
    let full = file.set_length(1101).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!(disk.live_bytes("f"), Some(vec![b'n'; 1000]));
    file.set_length(1100).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 0);
    let full = other.write_at(&[IoSlice::new(b"xy")], 399).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert!(disk.trace().iter().any(|traced| {
        (traced.call, traced.outcome) == (Call::Write, Outcome::Failed(Failure::NoSpace))
    }));

    // Names and syncs need no space.
    disk.create(at("empty")).unwrap();
    disk.rename(at("empty"), at("h")).unwrap();
    file.sync().unwrap();
    disk.sync_directory(at("")).unwrap();

    // Space comes back with what is cut, with a removed file, or from outside.
    file.set_length(1050).unwrap();
    write(&*other, &[b'g'; 50], 400);
    drop(other);
    disk.remove(at("g")).unwrap();
    write(&*file, &[b'n'; 450], 1050);
    disk.set_capacity(Some(1501));
    write(&*file, b"x", 1500);
    assert_eq!(disk.free_bytes().unwrap(), 0);
}

#[test]
fn a_write_that_does_not_fit_leaves_a_beginning_that_fits() {
    let mut lengths = BTreeSet::new();
    for seed in SEEDS {
        let (disk, file) = with_file(seed, "f", b"abc");
        disk.set_capacity(Some(100));
        file.write_at(&[IoSlice::new(&[b'n'; 300])], 50)
            .unwrap_err();
        let length = disk.live_bytes("f").unwrap().len();
        assert!(length == 3 || (51..=100).contains(&length), "{length}");
        lengths.insert(length);
        // A hole that takes all the space leaves nothing to write in.
        file.write_at(&[IoSlice::new(b"x")], 100).unwrap_err();
        assert_eq!(disk.live_bytes("f").unwrap().len(), length);
    }
    assert!(lengths.len() > 10 && lengths.contains(&3) && lengths.contains(&100));
}

#[test]
fn neither_a_crash_nor_a_failure_takes_space_that_is_not_there() {
    for seed in SEEDS {
        for failure in [None, Some(Failure::Io), Some(Failure::ShortWrite)] {
            let (disk, file) = with_file(seed, "f", b"abc");
            disk.set_capacity(Some(2000));
            match failure {
                Some(failure) => disk.fail_once(1, failure),
                None => disk.crash_at(1),
            }
            file.write_at(&[IoSlice::new(&[1; 4000])], 0).unwrap_err();
            assert!(disk.live_bytes("f").unwrap().len() <= 2000);
        }
        let (disk, file) = with_file(seed, "f", b"abc");
        disk.set_capacity(Some(2000));
        disk.crash_at(1);
        file.set_length(2001).unwrap_err();
        assert_eq!(disk.live_bytes("f").unwrap().len(), 3);
    }
}

#[test]
fn a_removed_file_takes_space_as_long_as_it_is_open() {
    let (disk, file) = with_file(3, "f", &[1; 100]);
    disk.set_capacity(Some(100));
    disk.remove(at("f")).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 0);
    drop(file);
    assert_eq!(disk.free_bytes().unwrap(), 100);
    // The removal may be undone, and the next machine has the same disk.
    let free = outcomes(&disk, |disk| disk.free_bytes().unwrap());
    assert_eq!(free, [0, 100].into());
    assert_eq!(disk.restart().free_bytes().unwrap(), 100);
}

#[test]
fn a_capacity_below_what_is_there_leaves_nothing_free() {
    let (disk, file) = with_file(4, "f", &[1; 100]);
    disk.set_capacity(Some(10));
    assert_eq!(disk.free_bytes().unwrap(), 0);
    write(&*file, &[2; 100], 0);
    file.write_at(&[IoSlice::new(b"x")], 100).unwrap_err();
    disk.repair();
    file.write_at(&[IoSlice::new(b"x")], 100).unwrap_err();
}

#[test]
fn a_name_elsewhere_is_counted_and_outlives_every_failure() {
    let (disk, _) = with_file(5, "f", b"abc");
    assert_eq!(disk.names(at("f")).unwrap(), 1);
    disk.add_name("f");
    disk.add_name("f");
    assert_eq!(disk.names(at("f")).unwrap(), 3);
    disk.rename(at("f"), at("g")).unwrap();
    disk.sync_directory(at("")).unwrap();
    for next in [disk.reboot(1), disk.restart()] {
        assert_eq!(next.names(at("g")).unwrap(), 3);
    }
}

#[test]
fn nothing_can_be_shared() {
    let (disk, _) = with_file(6, "f", b"abc");
    let other = SimDisk::new(7);
    assert!(!disk.share(at("f"), &other, at("f")).unwrap());
    let missing = disk.share(at("g"), &other, at("g")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!((names(&other).len(), disk.root()), (0, None));
}
