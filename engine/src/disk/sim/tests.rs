//! The simulator does what its fault model says, and no more.

use std::collections::BTreeSet;

use super::*;
use crate::disk::{Disk, DiskFile};
use std::io::IoSlice;

mod choices;
mod faults;
mod likeness;
mod sites;
mod space;

const SEEDS: std::ops::Range<u64> = 0..300;

fn at(path: &str) -> &Path {
    Path::new(path)
}

fn write(file: &dyn DiskFile, bytes: &[u8], offset: u64) {
    file.write_at(&[IoSlice::new(bytes)], offset).unwrap();
}

/// A disk with one file whose contents and name last.
fn with_file(seed: u64, name: &str, bytes: &[u8]) -> (SimDisk, Arc<dyn DiskFile>) {
    let disk = SimDisk::new(seed);
    let file = disk.create(at(name)).unwrap();
    write(&*file, bytes, 0);
    file.sync().unwrap();
    disk.sync_directory(at("")).unwrap();
    (disk, file)
}

/// Everything that some seed leaves after a power failure now.
fn outcomes<T: Ord>(disk: &SimDisk, mut look: impl FnMut(&SimDisk) -> T) -> BTreeSet<T> {
    SEEDS
        .map(|seed| look(&disk.if_power_failed(seed)))
        .collect()
}

fn text(disk: &SimDisk, name: &str) -> Option<String> {
    disk.live_bytes(name)
        .map(|bytes| String::from_utf8(bytes).unwrap())
}

fn names(disk: &SimDisk) -> Vec<String> {
    disk.files()
        .iter()
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn what_is_synced_survives_every_power_failure() {
    let bytes: Vec<u8> = (0..5000usize).map(|i| i.to_le_bytes()[0]).collect();
    let (disk, file) = with_file(1, "f", &bytes);
    write(&*file, &[7; 2000], 1000);
    file.set_length(4000).unwrap();
    file.sync().unwrap();
    let expected = [&bytes[..1000], &[7; 2000], &bytes[3000..4000]].concat();
    assert_eq!(
        outcomes(&disk, |disk| disk.live_bytes("f")),
        [Some(expected.clone())].into()
    );
    assert_eq!(disk.durable_bytes("f"), Some(expected));
}

#[test]
fn an_unsynced_write_is_lost_kept_torn_and_reordered_in_whole_sectors() {
    let (disk, file) = with_file(2, "f", &[b'o'; 4 * SECTOR_BYTES]);
    // Parts of the first and the last sector, all of the two between.
    write(&*file, &[b'n'; 3 * SECTOR_BYTES], 100);
    let expected = |kept: [bool; 4]| {
        let mut bytes = [b'o'; 4 * SECTOR_BYTES];
        for (number, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
            let sector = number * SECTOR_BYTES..(number + 1) * SECTOR_BYTES;
            let written = sector.start.max(100)..sector.end.min(100 + 3 * SECTOR_BYTES);
            bytes[written].fill(b'n');
        }
        Some(bytes.to_vec())
    };
    let all_subsets = (0..16).map(|bits| expected([0, 1, 2, 3].map(|i| bits >> i & 1 == 1)));
    assert_eq!(
        outcomes(&disk, |disk| disk.live_bytes("f")),
        all_subsets.collect()
    );
}

#[test]
fn unsynced_lengths_are_kept_or_lost_and_unwritten_bytes_are_zeros() {
    let (disk, file) = with_file(3, "f", b"abc");
    file.set_length(5).unwrap();
    let grown = [Some("abc".to_owned()), Some("abc\0\0".to_owned())];
    assert_eq!(outcomes(&disk, |disk| text(disk, "f")), grown.into());

    let (disk, file) = with_file(3, "f", b"abc");
    write(&*file, b"de", 4);
    let appended = [
        Some("abc".to_owned()),
        Some("abc\0\0\0".to_owned()),
        Some("abc\0de".to_owned()),
    ];
    assert_eq!(outcomes(&disk, |disk| text(disk, "f")), appended.into());

    let (disk, _) = with_file(3, "f", b"abc");
    disk.create(at("f")).unwrap();
    let emptied = [Some("abc".to_owned()), Some(String::new())];
    assert_eq!(outcomes(&disk, |disk| text(disk, "f")), emptied.into());

    let (disk, file) = with_file(3, "f", b"abc");
    file.set_length(1).unwrap();
    file.set_length(3).unwrap();
    assert_eq!(disk.live_bytes("f").unwrap(), b"a\0\0");
    let regrown = ["abc", "a", "a\0\0"].map(|text| Some(text.to_owned()));
    assert_eq!(outcomes(&disk, |disk| text(disk, "f")), regrown.into());
    file.sync().unwrap();
    assert_eq!(
        outcomes(&disk, |disk| text(disk, "f")),
        [Some("a\0\0".to_owned())].into()
    );
}

#[test]
fn a_new_name_lasts_only_with_its_directory() {
    let disk = SimDisk::new(4);
    let file = disk.create(at("f")).unwrap();
    write(&*file, b"x", 0);
    file.sync().unwrap();
    assert_eq!(
        outcomes(&disk, |disk| text(disk, "f")),
        [None, Some("x".to_owned())].into()
    );
    assert_eq!(disk.durable_bytes("f"), None);
    disk.sync_directory(at("")).unwrap();
    assert_eq!(
        outcomes(&disk, |disk| text(disk, "f")),
        [Some("x".to_owned())].into()
    );
}

#[test]
fn all_below_a_lost_directory_is_lost() {
    let disk = SimDisk::new(5);
    disk.create_directory(at("d")).unwrap();
    disk.create(at("d/f")).unwrap();
    disk.sync_directory(at("d")).unwrap();
    assert_eq!(disk.durable_bytes("d/f"), None);
    let seen = outcomes(&disk, |disk| (disk.list(at("d")).is_ok(), names(disk)));
    assert_eq!(
        seen,
        [(false, vec![]), (true, vec!["d/f".to_owned()])].into()
    );
    disk.sync_directory(at("")).unwrap();
    assert_eq!(outcomes(&disk, names), [vec!["d/f".to_owned()]].into());
}

#[test]
fn a_rename_happens_whole_or_not_at_all() {
    let (disk, _) = with_file(6, "a", b"new");
    let old = disk.create(at("b")).unwrap();
    write(&*old, b"old", 0);
    old.sync().unwrap();
    disk.sync_directory(at("")).unwrap();
    disk.rename(at("a"), at("b")).unwrap();
    let both = |disk: &SimDisk| (text(disk, "a"), text(disk, "b"));
    let before = (Some("new".to_owned()), Some("old".to_owned()));
    let after = (None, Some("new".to_owned()));
    assert_eq!(outcomes(&disk, both), [before, after.clone()].into());
    disk.sync_directory(at("")).unwrap();
    assert_eq!(outcomes(&disk, both), [after].into());
}

#[test]
fn a_removal_may_be_undone_until_its_directory_is_synced() {
    let (disk, _) = with_file(7, "a", b"x");
    disk.remove(at("a")).unwrap();
    assert_eq!(
        outcomes(&disk, names),
        [vec![], vec!["a".to_owned()]].into()
    );
    disk.sync_directory(at("")).unwrap();
    assert_eq!(outcomes(&disk, names), [vec![]].into());
}

#[test]
fn changes_of_names_survive_in_any_selection_but_a_file_never_has_two_names() {
    let (disk, _) = with_file(8, "a", b"1");
    disk.rename(at("a"), at("b")).unwrap();
    disk.rename(at("b"), at("c")).unwrap();
    disk.create(at("a")).unwrap();
    let seen = outcomes(&disk, names);
    let expected = ["a", "b", "c", "a b", "a c"];
    let expected: BTreeSet<Vec<String>> = expected
        .iter()
        .map(|names| names.split(' ').map(str::to_owned).collect())
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_move_that_survives_leaves_nothing_under_the_old_name() {
    let (disk, _) = with_file(8, "a", b"1");
    disk.remove(at("a")).unwrap();
    disk.create(at("a")).unwrap();
    disk.rename(at("a"), at("b")).unwrap();
    let seen = outcomes(&disk, names);
    let expected = [vec![], vec!["a".to_owned()], vec!["b".to_owned()]];
    assert_eq!(seen, expected.into());
}

#[test]
fn a_move_between_directories_needs_both() {
    let disk = SimDisk::new(9);
    for name in ["d", "e"] {
        disk.create_directory(at(name)).unwrap();
    }
    disk.create(at("d/f")).unwrap();
    disk.sync_directory(at("d")).unwrap();
    disk.sync_directory(at("")).unwrap();
    disk.rename(at("d/f"), at("e/f")).unwrap();
    let (old, new) = (vec!["d/f".to_owned()], vec!["e/f".to_owned()]);
    disk.sync_directory(at("e")).unwrap();
    assert_eq!(outcomes(&disk, names), [old, new.clone()].into());
    disk.sync_directory(at("d")).unwrap();
    assert_eq!(outcomes(&disk, names), [new].into());
}

#[test]
fn a_synced_name_is_not_undone_by_an_older_move_that_waits() {
    let disk = SimDisk::new(10);
    disk.create_directory(at("d")).unwrap();
    disk.create(at("f")).unwrap();
    disk.sync_directory(at("")).unwrap();
    disk.rename(at("f"), at("d/f")).unwrap();
    disk.create(at("f")).unwrap();
    disk.sync_directory(at("")).unwrap();
    let both = vec!["d/f".to_owned(), "f".to_owned()];
    assert_eq!(outcomes(&disk, names), [both].into());
}

#[test]
fn the_end_of_the_process_loses_nothing_and_makes_nothing_last() {
    let (disk, file) = with_file(11, "f", b"old");
    write(&*file, b"new", 0);
    disk.create(at("g")).unwrap();
    let next = disk.restart();
    assert!(disk.is_off() && Crash::caused(&file.sync().unwrap_err()));
    assert_eq!(
        (text(&next, "f"), names(&next).len()),
        (Some("new".to_owned()), 2)
    );
    let texts = [Some("old".to_owned()), Some("new".to_owned())];
    assert_eq!(outcomes(&next, |disk| text(disk, "f")), texts.into());
    assert_eq!(outcomes(&next, |disk| names(disk).len()), [1, 2].into());
    let again = next.restart();
    again.open(at("f")).unwrap().sync().unwrap();
    assert_eq!(
        outcomes(&again, |disk| text(disk, "f")),
        [Some("new".to_owned())].into()
    );
}

#[test]
fn files_lose_their_changes_apart_from_each_other() {
    let (disk, first) = with_file(12, "first", b"old");
    let second = disk.create(at("second")).unwrap();
    write(&*second, b"old", 0);
    second.sync().unwrap();
    disk.sync_directory(at("")).unwrap();
    write(&*first, b"new", 0);
    write(&*second, b"new", 0);
    let both = |disk: &SimDisk| ["first", "second"].map(|name| text(disk, name).unwrap());
    let all = ["old old", "old new", "new old", "new new"];
    let all: BTreeSet<_> = all
        .iter()
        .map(|pair| pair.split_once(' ').unwrap())
        .map(|(first, second)| [first.to_owned(), second.to_owned()])
        .collect();
    assert_eq!(outcomes(&disk, both), all);
}

#[test]
fn names_are_lost_apart_from_each_other_and_from_contents() {
    let disk = SimDisk::new(13);
    for name in ["moved", "removed", "kept"] {
        disk.create(at(name)).unwrap();
    }
    disk.create_directory(at("d")).unwrap();
    disk.sync_directory(at("")).unwrap();
    disk.create(at("d/made")).unwrap();
    disk.rename(at("moved"), at("new")).unwrap();
    disk.remove(at("removed")).unwrap();
    write(&*disk.open(at("kept")).unwrap(), b"x", 0);
    let has = |disk: &SimDisk, name| disk.live_bytes(name).is_some();
    let seen = outcomes(&disk, |disk| {
        assert_ne!(has(disk, "moved"), has(disk, "new"));
        let names = ["d/made", "new", "removed"].map(|name| has(disk, name));
        (names, disk.live_bytes("kept").unwrap().len())
    });
    assert_eq!(seen.len(), 16);
}

#[test]
fn directories_may_lie_in_each_other_and_each_needs_its_name() {
    let disk = SimDisk::new(14);
    let deep = at("quarantine/x");
    assert!(disk.create_directory(deep).is_err());
    disk.create_directory(at("quarantine")).unwrap();
    disk.create_directory(deep).unwrap();
    disk.create(at("quarantine/x/f")).unwrap();
    disk.sync_directory(deep).unwrap();
    disk.sync_directory(at("")).unwrap();
    assert_eq!(disk.list(at("quarantine")).unwrap(), ["x"]);
    let lost_or_kept = [vec![], vec!["quarantine/x/f".to_owned()]];
    assert_eq!(outcomes(&disk, names), lost_or_kept.into());
    disk.sync_directory(at("quarantine")).unwrap();
    let kept = [vec!["quarantine/x/f".to_owned()]];
    assert_eq!(outcomes(&disk, names), kept.into());
}
