//! The real disk keeps what the trait promises.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn scratch() -> (tempfile::TempDir, RealDisk) {
    let directory = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(directory.path().join("data")).unwrap();
    (directory, disk)
}

#[test]
fn directories_and_files_are_private_and_missing_parents_are_made() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("a/b/c");
    let disk = RealDisk::new(&root).unwrap();
    disk.create_directory(Path::new("hot")).unwrap();
    disk.create_directory(Path::new("hot")).unwrap();
    disk.create(Path::new("hot/1.log")).unwrap();
    let _lock = disk.lock().unwrap().unwrap();
    for directory in ["a", "a/b", "a/b/c", "a/b/c/hot"] {
        assert_eq!(mode(outer.path().join(directory)), 0o700, "{directory}");
    }
    assert_eq!(mode(root.join("hot/1.log")), 0o600);
    assert_eq!(mode(root.join("LOCK")), 0o600);
    RealDisk::new(&root).unwrap();
}

#[test]
fn a_root_that_is_a_file_is_refused() {
    let outer = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(
        RealDisk::new(outer.path()).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert!(RealDisk::new(outer.path().join("below")).is_err());
    assert!(RealDisk::new("").is_err());
}

#[test]
fn more_slices_than_one_call_takes_are_all_written_in_order() {
    let (_directory, disk) = scratch();
    let file = disk.create(Path::new("f")).unwrap();
    let pieces: Vec<Vec<u8>> = (0..3000usize)
        .map(|i| vec![i.to_le_bytes()[0]; i % 4])
        .collect();
    let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    file.write_at(&slices, 7).unwrap();
    file.sync().unwrap();
    let expected = [vec![0; 7], pieces.concat()].concat();
    let mut read = vec![0xee; expected.len() + 10];
    let file = disk.open(Path::new("f")).unwrap();
    assert_eq!(file.read_at(&mut read, 0).unwrap(), expected.len());
    assert_eq!(read[..expected.len()], expected);
    assert_eq!(file.length().unwrap(), expected.len() as u64);
    assert_eq!(file.read_at(&mut read, 1 << 40).unwrap(), 0);
    file.write_at(&[], 0).unwrap();
}

#[test]
fn a_write_that_is_taken_piecemeal_or_interrupted_goes_on_where_it_stopped() {
    let mut taken = Vec::new();
    let mut calls = 0;
    let parts = [&b"ab"[..], b"", b"cdefg", b"h"].map(IoSlice::new);
    write_whole(&parts, 100, |rest, at| {
        calls += 1;
        if calls % 2 == 0 {
            return Err(ErrorKind::Interrupted.into());
        }
        assert_eq!(at, 100 + taken.len() as u64);
        let all: Vec<u8> = rest
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        let count = all.len().min(3);
        taken.extend_from_slice(&all[..count]);
        Ok(count)
    })
    .unwrap();
    assert_eq!(taken, b"abcdefgh");
    let stuck = write_whole(&parts, 0, |_, _| Ok(0)).unwrap_err();
    assert_eq!(stuck.kind(), ErrorKind::WriteZero);
    let full = write_whole(&parts, 0, |_, _| Err(ErrorKind::StorageFull.into())).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
}

#[test]
fn the_lock_is_exclusive_names_its_holder_and_ends_with_its_guard() {
    let (_directory, disk) = scratch();
    // A longer text from an earlier holder must not show through.
    fs::write(disk.root.join("LOCK"), "x".repeat(1000)).unwrap();
    let guard = disk.lock().unwrap().unwrap();
    let second = RealDisk::new(&disk.root).unwrap();
    let holder = second.lock().unwrap().err().unwrap();
    assert!(
        holder.starts_with(&format!("pid {} (", std::process::id())),
        "{holder}"
    );
    assert!(holder.ends_with(')') && !holder.contains('x'), "{holder}");
    drop(guard);
    assert!(second.lock().unwrap().is_ok());
}

#[test]
fn names_come_go_and_move_and_lengths_change() {
    let (_directory, disk) = scratch();
    disk.create_directory(Path::new("d")).unwrap();
    let file = disk.create(Path::new("d/a")).unwrap();
    file.write_at(&[IoSlice::new(b"first")], 0).unwrap();
    file.set_length(2).unwrap();
    file.set_length(4).unwrap();
    disk.create(Path::new("d/b")).unwrap();
    disk.rename(Path::new("d/a"), Path::new("d/b")).unwrap();
    disk.sync_directory(Path::new("d")).unwrap();
    disk.sync_directory(Path::new("")).unwrap();
    assert_eq!(disk.list(Path::new("d")).unwrap(), ["b"]);
    let mut read = [9; 8];
    let found = disk
        .open(Path::new("d/b"))
        .unwrap()
        .read_at(&mut read, 0)
        .unwrap();
    assert_eq!(read[..found], *b"fi\0\0");
    assert_eq!(disk.create(Path::new("d/b")).unwrap().length().unwrap(), 0);
    disk.remove(Path::new("d/b")).unwrap();
    assert_eq!(disk.list(Path::new("d")).unwrap(), [""; 0]);
    let missing = disk.open(Path::new("d/b")).err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_ne!(disk.random(), disk.random());
}

#[test]
#[should_panic(expected = "leaves the data directory")]
fn a_path_that_is_not_below_the_root_is_a_bug() {
    let (_directory, disk) = scratch();
    let _ = disk.open(Path::new("../outside"));
}

#[test]
fn a_shared_file_has_two_names_and_replaces_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let ours = RealDisk::new(directory.path().join("ours")).unwrap();
    let theirs = RealDisk::new(directory.path().join("theirs")).unwrap();
    for disk in [&ours, &theirs] {
        disk.create_directory(Path::new("d")).unwrap();
    }
    let (path, as_path) = (Path::new("d/a"), Path::new("d/b"));
    let file = ours.create(path).unwrap();
    file.write_at(&[IoSlice::new(b"text")], 0).unwrap();
    assert_eq!(ours.names(path).unwrap(), 1);
    assert!(ours.share(path, &theirs, as_path).unwrap());
    assert_eq!(
        (ours.names(path).unwrap(), theirs.names(as_path).unwrap()),
        (2, 2)
    );
    assert_eq!(theirs.open(as_path).unwrap().length().unwrap(), 4);

    let other = theirs.create(Path::new("d/c")).unwrap();
    let taken = ours.share(path, &theirs, Path::new("d/c")).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    assert_eq!(other.length().unwrap(), 0);
    ours.remove(path).unwrap();
    assert_eq!(theirs.names(as_path).unwrap(), 1);

    let missing = ours.share(path, &theirs, Path::new("d/d")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!(ours.names(path).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        ours.names(Path::new("d")).unwrap_err().kind(),
        ErrorKind::IsADirectory
    );
}

#[test]
fn what_cannot_be_shared_is_told_from_what_fails() {
    let (_directory, disk) = scratch();
    disk.create(Path::new("a")).unwrap();
    let elsewhere = crate::disk::SimDisk::new(1);
    let shared = disk.share(Path::new("a"), &elsewhere, Path::new("a"));
    assert!(!shared.unwrap());
    for cannot in [Errno::XDEV, Errno::PERM, Errno::OPNOTSUPP, Errno::MLINK] {
        assert!(is_no_place_for_links(&cannot.into()), "{cannot}");
    }
    for fails in [
        Errno::EXIST,
        Errno::NOENT,
        Errno::NOSPC,
        Errno::IO,
        Errno::ACCESS,
    ] {
        assert!(!is_no_place_for_links(&fails.into()), "{fails}");
    }
}

#[test]
fn free_space_is_that_of_the_file_system() {
    let (_directory, disk) = scratch();
    let free = disk.free_bytes().unwrap();
    let found = rustix::fs::statvfs(&disk.root).unwrap();
    assert!(
        free > 0 && free <= found.f_blocks * found.f_frsize,
        "{free}"
    );
}

#[test]
fn directories_may_lie_in_each_other() {
    let (_directory, disk) = scratch();
    let deep = Path::new("quarantine/x/y");
    assert_eq!(
        disk.create_directory(deep).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    for depth in [2, 1, 0] {
        disk.create_directory(deep.ancestors().nth(depth).unwrap())
            .unwrap();
    }
    disk.create(&deep.join("f")).unwrap();
    disk.sync_directory(deep).unwrap();
    assert_eq!(disk.list(deep).unwrap(), ["f"]);
}
