//! Ordered faults: crashes at a call, failures, syncs left out, damage; and that runs repeat.

use std::io::{self, ErrorKind};

use super::*;

#[test]
fn a_failed_sync_leaves_in_doubt_what_no_later_sync_repairs() {
    let mut survived = BTreeSet::new();
    for seed in SEEDS {
        let (disk, file) = with_file(seed, "f", b"old");
        write(&*file, b"new", 0);
        disk.fail_once(1, Failure::Io);
        assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(5));
        file.sync().unwrap();
        assert_eq!(text(&disk, "f").as_deref(), Some("new"));
        let after = outcomes(&disk, |disk| text(disk, "f"));
        assert_eq!(after.len(), 1, "decided when the sync failed");
        survived.extend(after);
        // What is written after it lasts as ever.
        write(&*file, b"late", 3);
        file.sync().unwrap();
        assert_eq!(disk.reboot(seed).live_bytes("f").unwrap()[3..], *b"late");
    }
    assert_eq!(
        survived,
        [Some("old".to_owned()), Some("new".to_owned())].into()
    );
}

#[test]
fn a_failed_directory_sync_leaves_names_in_doubt() {
    let mut survived = BTreeSet::new();
    for seed in SEEDS {
        let disk = SimDisk::new(seed);
        disk.create(at("f")).unwrap();
        disk.fail_once(1, Failure::Io);
        disk.sync_directory(at("")).unwrap_err();
        disk.sync_directory(at("")).unwrap();
        assert_eq!(names(&disk), ["f"]);
        survived.extend(outcomes(&disk, names));
    }
    assert_eq!(survived, [vec![], vec!["f".to_owned()]].into());
}

#[test]
fn an_omitted_sync_answers_well_and_loses() {
    let (disk, file) = with_file(12, "f", b"old");
    disk.omit_syncs(|path, call| call == Call::Sync && path == at("moved"));
    disk.rename(at("f"), at("moved")).unwrap();
    disk.sync_directory(at("")).unwrap();
    write(&*file, b"new", 0);
    let calls = disk.calls();
    file.sync().unwrap();
    assert_eq!(disk.calls(), calls + 1);
    assert_eq!(disk.trace().last().unwrap().outcome, Outcome::Omitted);
    let texts = [Some("old".to_owned()), Some("new".to_owned())];
    assert_eq!(outcomes(&disk, |disk| text(disk, "moved")), texts.into());
}

#[test]
fn an_omitted_directory_sync_loses_names() {
    let disk = SimDisk::new(12);
    disk.omit_syncs(|_, call| call == Call::SyncDirectory);
    disk.create(at("f")).unwrap();
    disk.sync_directory(at("")).unwrap();
    assert_eq!(
        outcomes(&disk, names),
        [vec![], vec!["f".to_owned()]].into()
    );
}

/// Some of everything; each step goes on only if the one before was good.
fn workload(disk: &SimDisk) -> io::Result<()> {
    disk.create_directory(at("d"))?;
    disk.sync_directory(at(""))?;
    let file = disk.create(at("d/new"))?;
    file.set_length(2000)?;
    file.write_at(&[IoSlice::new(&[1; 700]), IoSlice::new(&[2; 700])], 300)?;
    file.sync()?;
    disk.rename(at("d/new"), at("d/f"))?;
    disk.sync_directory(at("d"))?;
    file.write_at(&[IoSlice::new(&[3; 1500])], 400)?;
    file.sync()?;
    disk.create(at("d/g"))?;
    disk.remove(at("d/g"))?;
    disk.sync_directory(at("d"))
}

#[test]
fn a_crash_ends_every_call_and_spares_what_was_synced() {
    let whole = SimDisk::new(0);
    workload(&whole).unwrap();
    for nth in 1..=whole.calls() {
        for seed in 0..40 {
            let disk = SimDisk::new(seed);
            let guard = disk.lock().unwrap().unwrap();
            disk.crash_at(nth);
            let error = workload(&disk).unwrap_err();
            assert!(Crash::caused(&error) && disk.is_off(), "{error}");
            assert_eq!(disk.calls(), nth);
            assert!(Crash::caused(&disk.list(at("")).unwrap_err()));
            assert!(Crash::caused(&disk.create(at("x")).err().unwrap()));
            assert_eq!(disk.calls(), nth, "a call to a dead machine is not counted");

            let after = disk.reboot(seed);
            drop(after.lock().unwrap().unwrap());
            drop(guard);
            // The 8th call is the sync of the directory, the 10th that of the second write.
            if nth > 8 {
                assert_eq!(after.live_bytes("d/f").unwrap().len(), 2000);
            }
            if nth > 10 {
                assert_eq!(after.live_bytes("d/f").unwrap()[400..1900], [3; 1500]);
            }
            workload(&after).unwrap();
        }
    }
}

#[test]
fn the_call_that_meets_the_crash_happens_or_not() {
    let seen = |call: fn(&SimDisk) -> io::Result<()>| {
        SEEDS
            .map(|seed| {
                let (disk, _) = with_file(seed, "f", &[b'o'; 1024]);
                disk.crash_at(1);
                call(&disk).unwrap_err();
                let next = disk.restart();
                (names(&next), next.live_bytes("f"))
            })
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(seen(|disk| disk.rename(at("f"), at("g"))).len(), 2);
    assert_eq!(seen(|disk| disk.remove(at("f"))).len(), 2);
    assert_eq!(seen(|disk| disk.create(at("g")).map(drop)).len(), 2);
    assert_eq!(seen(|disk| disk.open(at("f"))?.set_length(5)).len(), 2);
    assert_eq!(seen(|disk| disk.open(at("f"))?.sync()).len(), 1);
    let writes = seen(|disk| {
        disk.open(at("f"))?
            .write_at(&[IoSlice::new(&[b'n'; 1024])], 0)
    });
    assert!(writes.len() > 10, "{} different beginnings", writes.len());
}

#[test]
fn the_same_seeds_give_the_same_run() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        disk.fail_once(5, Failure::Io);
        workload(&disk).unwrap_err();
        let after = disk.reboot(seed);
        after.crash_at(9);
        workload(&after).unwrap_err();
        let last = after.reboot(seed);
        let trace: Vec<_> = after.trace().iter().map(ToString::to_string).collect();
        let contents: Vec<_> = names(&last)
            .iter()
            .map(|name| last.live_bytes(name))
            .collect();
        (trace, names(&last), contents, last.random())
    };
    assert_eq!(
        SEEDS.map(run).collect::<Vec<_>>(),
        SEEDS.map(run).collect::<Vec<_>>()
    );
    assert!(SEEDS.map(|seed| run(seed).2).collect::<BTreeSet<_>>().len() > 10);
}

#[test]
fn random_bytes_never_come_back_after_a_reboot_with_the_same_seed() {
    let disk = SimDisk::new(1);
    let mut seen = BTreeSet::from([disk.random(), disk.random()]);
    let rebooted = disk.reboot(1);
    let again = rebooted.reboot(1);
    let restarted = again.restart();
    seen.extend([&rebooted, &again, &restarted].map(Disk::random));
    assert_eq!(seen.len(), 5);
    assert_eq!(disk.random(), {
        let same = SimDisk::new(1);
        same.random();
        same.random();
        same.random()
    });
}

#[test]
fn failures_meet_the_calls_that_they_can() {
    let (disk, file) = with_file(13, "f", &[b'o'; 1024]);
    disk.fail_from(1, Failure::NoSpace);
    write(&*file, b"fits", 0);
    file.sync().unwrap();
    let grow = file.write_at(&[IoSlice::new(b"xy")], 1023).unwrap_err();
    assert_eq!(grow.kind(), ErrorKind::StorageFull);
    assert_eq!(
        file.set_length(2000).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(
        disk.create(at("g")).err().unwrap().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(names(&disk), ["f"]);
    disk.remove(at("f")).unwrap();
    disk.sync_directory(at("")).unwrap();
    disk.repair();
    disk.create(at("g")).unwrap();

    disk.fail_once(2, Failure::Io);
    disk.create(at("h")).unwrap();
    assert_eq!(
        disk.rename(at("h"), at("i")).unwrap_err().raw_os_error(),
        Some(5)
    );
    disk.rename(at("h"), at("i")).unwrap();

    disk.fail_read_once(2);
    disk.list(at("")).unwrap();
    assert_eq!(disk.open(at("i")).err().unwrap().raw_os_error(), Some(5));
    disk.open(at("i")).unwrap();
    disk.fail_reads_from(1);
    for _ in 0..3 {
        disk.list(at("")).unwrap_err();
    }
}

#[test]
fn a_failed_write_leaves_sectors_and_a_short_one_a_beginning() {
    let left = |failure| {
        SEEDS
            .map(|seed| {
                let (disk, file) = with_file(seed, "f", &[b'o'; 1024]);
                disk.fail_once(1, failure);
                file.write_at(&[IoSlice::new(&[b'n'; 1024])], 0)
                    .unwrap_err();
                disk.live_bytes("f").unwrap()
            })
            .collect::<BTreeSet<_>>()
    };
    let beginning = |bytes: &Vec<u8>| bytes.iter().is_sorted();
    let short = left(Failure::ShortWrite);
    assert!(short.len() > 10 && short.iter().all(beginning));
    let sectors = [[b'o', b'o'], [b'o', b'n'], [b'n', b'o'], [b'n', b'n']];
    let sectors = sectors.map(|pair| pair.map(|byte| [byte; SECTOR_BYTES]).concat());
    assert_eq!(left(Failure::Io), sectors.into());
}

#[test]
fn the_lock_ends_with_its_guard_or_its_machine() {
    let disk = SimDisk::new(14);
    let guard = disk.lock().unwrap().unwrap();
    assert!(disk.clone().lock().unwrap().is_err());
    drop(guard);
    let guard = disk.lock().unwrap().unwrap();
    let next = disk.reboot(1);
    let _held = next.lock().unwrap().unwrap();
    drop(guard);
    assert!(next.lock().unwrap().is_err());
}

#[test]
fn damage_is_done_to_what_lasts() {
    let (disk, file) = with_file(15, "f", b"abc");
    disk.flip_bit("f", 1, 0);
    assert_eq!(
        outcomes(&disk, |disk| text(disk, "f")),
        [Some("acc".to_owned())].into()
    );
    let disk = disk.reboot(1);
    disk.truncate("f", 1);
    assert_eq!(
        outcomes(&disk, |disk| text(disk, "f")),
        [Some("a".to_owned())].into()
    );
    assert!(Crash::caused(&file.length().unwrap_err()));
}

#[test]
fn a_file_without_a_name_lives_as_long_as_it_is_open() {
    let (disk, file) = with_file(16, "f", b"abc");
    disk.remove(at("f")).unwrap();
    disk.sync_directory(at("")).unwrap();
    write(&*file, b"d", 3);
    let mut read = [0; 9];
    assert_eq!(file.read_at(&mut read, 1).unwrap(), 3);
    assert_eq!(read[..3], *b"bcd");
    drop(file);
    disk.sync_directory(at("")).unwrap();
    assert_eq!(names(&disk.restart()), [""; 0]);
}

#[test]
fn the_trace_can_be_read() {
    let (disk, file) = with_file(17, "f", b"abc");
    file.read_at(&mut [0; 2], 1).unwrap();
    disk.crash_at(1);
    file.set_length(9).unwrap_err();
    let trace: Vec<_> = disk.trace().iter().map(ToString::to_string).collect();
    let expected = [
        "change 1: Create f",
        "change 2: Write f at 0, 3 bytes",
        "change 3: Sync f",
        "change 4: SyncDirectory ",
        "read 1: Read f at 1, 2 bytes",
        "change 5: SetLength f to 9 -> Crashed",
    ];
    assert_eq!(trace, expected);
    assert_eq!((disk.calls(), disk.reads()), (5, 1));
}
