//! Without faults the simulated disk answers like the real one.

use std::io;

use super::*;
use crate::disk::RealDisk;
use crate::disk::sim::chance::Chance;

/// One random call, and all that its caller can see of it.
fn random_call(disk: &dyn Disk, open: &mut Vec<Arc<dyn DiskFile>>, chance: &mut Chance) -> String {
    let names = [
        "a", "b", "d", "d/a", "d/b", "e", "e/a", "a/x", "z/x", "d/e", "d/e/a", "d/e/f", "",
    ];
    let mut pick = || at(names[usize::try_from(chance.below(names.len() as u64)).unwrap()]);
    let (path, other) = (pick(), pick());
    let (offset, length) = (
        chance.below(3000),
        usize::try_from(chance.below(1500)).unwrap(),
    );
    let bytes = vec![chance.bytes()[0]; length];
    let which = usize::try_from(chance.below(20)).unwrap();
    let file = open.get(which % open.len().max(1)).cloned();
    let is_directory = |path| disk.list(path).is_ok();
    let kind = |error: io::Error| error.kind();
    match (chance.below(13), file) {
        (0, _) => format!("{:?}", disk.create_directory(path).map_err(kind)),
        (1, _) => format!(
            "{:?}",
            disk.list(path)
                .map_err(kind)
                .map(|names| names.into_iter().collect::<BTreeSet<_>>())
        ),
        (2, _) => format!(
            "{:?}",
            disk.create(path).map(|file| open.push(file)).map_err(kind)
        ),
        (3, _) => format!(
            "{:?}",
            disk.open(path).map(|file| open.push(file)).map_err(kind)
        ),
        // Directories stay where they are: nobody moves them, so the simulator cannot. None is
        // replaced either; only the reasons that the real disk gives are more.
        (4, _) if is_directory(path) => String::new(),
        (4, _) if is_directory(other) => format!("{}", disk.rename(path, other).is_ok()),
        (4, _) => format!("{:?}", disk.rename(path, other).map_err(kind)),
        (5, _) => format!("{:?}", disk.remove(path).map_err(kind)),
        (6, _) if is_directory(path) => format!("{:?}", disk.sync_directory(path).map_err(kind)),
        (12, _) => format!("{:?}", disk.names(path).map_err(kind)),
        (7, Some(file)) => format!("{:?}", file.set_length(offset).map_err(kind)),
        (8, Some(file)) => format!("{:?}", file.sync().map_err(kind)),
        (9 | 10, Some(file)) => {
            let slices = [
                IoSlice::new(&bytes[..length / 3]),
                IoSlice::new(&bytes[length / 3..]),
            ];
            format!(
                "{:?} {:?}",
                file.write_at(&slices, offset).map_err(kind),
                file.length().ok()
            )
        }
        (11, Some(file)) => {
            let mut read = vec![0; length];
            let count = file.read_at(&mut read, offset).unwrap();
            format!("{:?}", &read[..count])
        }
        _ => String::new(),
    }
}

#[test]
fn without_faults_it_answers_like_the_real_disk() {
    for seed in 0..40 {
        let directory = tempfile::tempdir().unwrap();
        let (real, sim) = (RealDisk::new(directory.path()).unwrap(), SimDisk::new(seed));
        let (mut real_open, mut sim_open) = (Vec::new(), Vec::new());
        let (mut real_chance, mut sim_chance) = (Chance::new(seed), Chance::new(seed));
        for step in 0..500 {
            let expected = random_call(&real, &mut real_open, &mut real_chance);
            let found = random_call(&sim, &mut sim_open, &mut sim_chance);
            assert_eq!(
                found,
                expected,
                "seed {seed}, step {step}: {:?}",
                sim.trace().last()
            );
        }
    }
}
