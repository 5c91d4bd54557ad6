//! The file `keys` of the data directory: TOML, mode 0600, made whole or not at all.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use thiserror::Error;
use uuid::Uuid;

use super::{Keys, SigningKey};

/// The file's name.
const FILE: &str = "keys";
/// Its name while it is being made; a leftover is overwritten.
const FILE_NEW: &str = "keys.new";
/// Version of the file's form.
const VERSION: u32 = 1;
/// Bytes of a master secret.
const MASTER_BYTES: usize = 32;

/// Why there are no keys.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The file cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML, or lacks something.
    #[error("{} is not a file of keys", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The file holds something that cannot be used.
    #[error("{}: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// No randomness for a new key.
    #[error("the system has no randomness for a new key")]
    Randomness,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    sealing: Vec<StoredSealing>,
    signing: Vec<StoredSigning>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSealing {
    id: u32,
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSigning {
    pkcs8: String,
}

pub(super) fn obtain(directory: &Path) -> Result<Keys, KeysError> {
    let path = directory.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => parse(&text, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = fresh().ok_or(KeysError::Randomness)?;
            store(directory, &text)?;
            parse(&text, &path)
        }
        Err(source) => Err(KeysError::Io {
            doing: "read",
            path,
            source,
        }),
    }
}

fn parse(text: &str, path: &Path) -> Result<Keys, KeysError> {
    let content = |why| KeysError::Content {
        path: path.into(),
        why,
    };
    let stored: Stored = toml::from_str(text).map_err(|source| KeysError::Form {
        path: path.into(),
        source: Box::new(source),
    })?;
    if stored.version != VERSION {
        return Err(content(
            "was written by a version that this one cannot read",
        ));
    }
    let mut sealing = Vec::new();
    for key in &stored.sealing {
        let secret = STANDARD.decode(&key.secret).unwrap_or_default();
        if secret.len() != MASTER_BYTES {
            return Err(content("a sealing key is not 32 bytes in base64"));
        }
        sealing.push((key.id, secret));
    }
    let mut signing = Vec::new();
    for key in &stored.signing {
        let pkcs8 = STANDARD.decode(&key.pkcs8).unwrap_or_default();
        let key = SigningKey::from_pkcs8(&pkcs8);
        signing.push(key.ok_or_else(|| content("a signing key is not an RSA key"))?);
    }
    if sealing.is_empty() || signing.is_empty() {
        return Err(content("holds no sealing or no signing key"));
    }
    Ok(Keys::new(&sealing, signing))
}

fn fresh() -> Option<String> {
    // Two uuids hold 244 random bits.
    let master = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let signing = SigningKey::generate()?;
    let mut text = String::from(
        "# The keys that seal tokens and temporary credentials: whoever has them can sign in as\n\
         # anyone, and without them nobody's tokens are believed any more. The last of each kind\n\
         # is used for new tokens.\n",
    );
    write!(
        text,
        "version = {VERSION}\n\n[[sealing]]\nid = 1\nsecret = \"{}\"\n\n\
         [[signing]]\npkcs8 = \"{}\"\n",
        STANDARD.encode(master),
        STANDARD.encode(signing.pkcs8())
    )
    .ok()?;
    Some(text)
}

/// The name comes to be only after its bytes are durable, so a crash leaves all or nothing.
fn store(directory: &Path, text: &str) -> Result<(), KeysError> {
    let (new, path) = (directory.join(FILE_NEW), directory.join(FILE));
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| KeysError::Io {
            doing,
            path,
            source,
        }
    };
    // A leftover might have been made with another mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &new)(error));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed("create", &new))?;
    file.write_all(text.as_bytes())
        .map_err(failed("write", &new))?;
    file.sync_all().map_err(failed("sync", &new))?;
    fs::rename(&new, &path).map_err(failed("rename", &new))?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("sync", directory))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Purpose;
    use super::*;

    #[test]
    fn keys_are_made_once_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let first = Keys::obtain(directory.path()).unwrap();
        let text = first.seal(Purpose::Session, &[], b"body");
        let again = Keys::obtain(directory.path()).unwrap();
        assert!(again.open(Purpose::Session, &[], &text).is_some());
        assert_eq!(first.signing().id, again.signing().id);
        let mode = fs::metadata(directory.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!directory.path().join(FILE_NEW).exists());
    }

    #[test]
    fn a_leftover_of_a_crash_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE_NEW), "version = 1\n[[seal").unwrap();
        Keys::obtain(directory.path()).unwrap();
        Keys::obtain(directory.path()).unwrap();
    }

    #[test]
    fn a_damaged_file_is_refused_and_kept() {
        for text in [
            "",
            "version = 2\nsealing = []\nsigning = []\n",
            "version = 1\nsealing = []\n\
            signing = []\n",
            "version = 1\nsigning = []\n[[sealing]]\nid = 1\nsecret = \"AAAA\"\n",
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(FILE), text).unwrap();
            assert!(Keys::obtain(directory.path()).is_err(), "{text:?}");
            assert_eq!(
                fs::read_to_string(directory.path().join(FILE)).unwrap(),
                text
            );
        }
    }
}
