//! Sync sites are named, found and left out.

use super::*;
use crate::disk::sim::sites::class;

#[test]
fn a_class_has_n_for_each_number() {
    let classes = [
        ("", "."),
        ("hot", "hot"),
        ("hot/00000003.log", "hot/N.log"),
        ("hot/spare-4", "hot/spare-N"),
        ("checkpoint/00000000000000001234.ckp", "checkpoint/N.ckp"),
        (
            "quarantine/00000003-43984-2733dc09.torn",
            "quarantine/N-N-N.torn",
        ),
        ("quarantine/deadbeef/bad", "quarantine/N/bad"),
        ("a6e1e2db-412c-4dbb-91b3-328e0dece6e1", "N-N-N-N-N"),
        ("v12x3", "vNxN"),
        ("\u{e9}1", "\u{e9}N"),
    ];
    for (path, expected) in classes {
        assert_eq!(class(at(path)), expected, "{path}");
    }
}

/// Two files of one class and one of another, all of them synced with their directories.
fn workload(disk: &SimDisk) {
    disk.create_directory(at("hot")).unwrap();
    disk.sync_directory(at("")).unwrap();
    for name in ["hot/1.log", "hot/22.log", "hot/other"] {
        let file = disk.create(at(name)).unwrap();
        write(&*file, b"x", 0);
        file.sync().unwrap();
    }
    disk.sync_directory(at("hot")).unwrap();
}

const SITES: [&str; 4] = [
    "sync hot/N.log",
    "sync hot/other",
    "sync_directory .",
    "sync_directory hot",
];

#[test]
fn the_sites_are_those_of_all_syncs() {
    let disk = SimDisk::new(1);
    assert_eq!(disk.sync_sites(), [""; 0]);
    workload(&disk);
    assert_eq!(disk.sync_sites(), SITES);
    assert_eq!(disk.restart().sync_sites(), [""; 0]);
    let failing = SimDisk::new(2);
    let file = failing.create(at("f")).unwrap();
    failing.fail_once(1, Failure::Io);
    file.sync().unwrap_err();
    assert_eq!(failing.sync_sites(), ["sync f"]);
}

#[test]
fn a_site_is_left_out_with_all_its_syncs_and_nothing_else() {
    for left_out in SITES {
        let disk = SimDisk::new(3);
        disk.omit_site(left_out);
        workload(&disk);
        assert_eq!(disk.sync_sites(), SITES, "it is still seen");
        let syncs = disk
            .trace()
            .into_iter()
            .filter(|traced| matches!(traced.call, Call::Sync | Call::SyncDirectory));
        for traced in syncs {
            let kind = if traced.call == Call::Sync {
                "sync"
            } else {
                "sync_directory"
            };
            let omitted = format!("{kind} {}", class(&traced.path)) == left_out;
            assert_eq!(traced.outcome == Outcome::Omitted, omitted, "{traced}");
        }
        let whole = outcomes(&disk, |disk| {
            ["hot/1.log", "hot/22.log", "hot/other"].map(|name| text(disk, name))
        });
        assert!(whole.len() > 1, "something is lost without {left_out}");
    }
    let disk = SimDisk::new(3);
    workload(&disk);
    assert_eq!(outcomes(&disk, names).len(), 1);
}

#[test]
fn several_sites_and_a_choice_are_left_out_together() {
    let disk = SimDisk::new(4);
    disk.omit_site(SITES[0]);
    disk.omit_site(SITES[1]);
    disk.omit_syncs(|_, call| call == Call::SyncDirectory);
    workload(&disk);
    let ran = disk
        .trace()
        .into_iter()
        .filter(|traced| matches!(traced.call, Call::Sync | Call::SyncDirectory))
        .filter(|traced| traced.outcome == Outcome::Ran);
    assert_eq!(ran.count(), 0);
}
