//! Versions of what is measured, as the lock file of the build has them.

/// The lock file that this program was built with.
const LOCK: &str = include_str!("../../../Cargo.lock");

const ROCKSDB: &str = "librocksdb-sys";

/// Packages whose code does the measured work, and what somebody would call them who does not know
/// the package.
const MEASURED: [(&str, &str); 10] = [
    ("redb", ""),
    ("fjall", ""),
    ("sled", ""),
    ("rusqlite", ""),
    ("libsqlite3-sys", "SQLite"),
    ("heed", ""),
    ("lmdb-master-sys", "LMDB"),
    (ROCKSDB, "RocksDB"),
    ("hyper", ""),
    ("tokio", ""),
];

/// Name and version of each package that takes part.
pub fn of_build() -> Vec<String> {
    // It is in the lock file whether it was built or not.
    let built = |package: &str| cfg!(feature = "rocksdb") || package != ROCKSDB;
    let told = MEASURED.iter().filter_map(|(package, called)| {
        if !built(package) {
            return None;
        }
        let version = version(LOCK, package)?;
        Some(if called.is_empty() {
            format!("{package} {version}")
        } else {
            format!("{package} {version} ({called})")
        })
    });
    told.collect()
}

/// Of several versions, the one that comes last: the newest, since the file is sorted.
fn version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines();
    let mut found = None;
    while let Some(line) = lines.next() {
        if line == name {
            let version = lines.next()?.strip_prefix("version = \"")?;
            found = version.strip_suffix('"');
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_of_this_build_has_a_version() {
        let all = of_build().join(", ");
        for peer in ["redb ", "fjall ", "sled ", "(SQLite)", "(LMDB)", "hyper "] {
            assert!(all.contains(peer), "{peer} is missing in {all}");
        }
    }

    #[test]
    fn a_name_is_the_whole_name_and_the_newest_version_counts() {
        let lock = "name = \"a-b\"\nversion = \"9.0.0\"\n\nname = \"a\"\nversion = \"0.9.0\"\n\n\
                    name = \"a\"\nversion = \"1.2.3\"\n";
        assert_eq!(version(lock, "a"), Some("1.2.3"));
        assert_eq!(version(lock, "b"), None);
    }
}
