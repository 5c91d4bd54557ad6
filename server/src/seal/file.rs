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

use super::{Keys, Master, SEALED_LIFE_MS, SIGNED_LIFE_MS, SigningKey};
use crate::config::Flaw;

/// The file's name.
pub const FILE: &str = "keys";
/// Its name while it is being made; a leftover is overwritten.
const FILE_NEW: &str = "keys.new";
/// Version of the file's form: 2 added the developers' master secret and times of retirement.
const VERSION: u32 = 2;
/// The oldest version that is still understood.
const VERSION_MIN: u32 = 1;

/// What is said of a file with another version.
const UNKNOWN: &str = "was written by a version that this one cannot read";

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
    /// There is nothing to replace.
    #[error("{} does not exist; the server makes it when it first starts", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// No randomness for a new key.
    #[error("the system has no randomness for a new key")]
    Randomness,
}

/// The file, as it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    version: u32,
    pub(super) sealing: Vec<StoredMaster>,
    pub(super) signing: Vec<StoredSigning>,
    /// Missing in files of version 1.
    pub(super) developer: Option<StoredMaster>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredMaster {
    pub(super) id: u32,
    secret: String,
    pub(super) retired_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredSigning {
    pkcs8: String,
    pub(super) retired_ms: Option<u64>,
}

/// Where the file is.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

pub(super) fn obtain(directory: &Path) -> Result<Keys, KeysError> {
    let stored = match read(directory)? {
        Some(stored) if stored.developer.is_some() => stored,
        Some(mut old) => {
            old.developer = Some(StoredMaster::generate(1));
            store(directory, &old)?;
            old
        }
        None => {
            let stored = Stored {
                version: VERSION,
                sealing: vec![StoredMaster::generate(1)],
                signing: vec![StoredSigning::generate()?],
                developer: Some(StoredMaster::generate(1)),
            };
            store(directory, &stored)?;
            stored
        }
    };
    understand(&stored, &directory.join(FILE))
}

/// The file of a directory; `None` if there is none.
pub(super) fn read(directory: &Path) -> Result<Option<Stored>, KeysError> {
    let path = directory.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(KeysError::Io {
                doing: "read",
                path,
                source,
            });
        }
    };
    let stored: Stored = toml::from_str(&text).map_err(|source| KeysError::Form {
        path: path.clone(),
        source: Box::new(source),
    })?;
    if !is_known(&stored) {
        let why = UNKNOWN;
        return Err(KeysError::Content { path, why });
    }
    // Nothing is written back that could not be used.
    understand(&stored, &path)?;
    Ok(Some(stored))
}

/// Verifies a text of the file's form.
///
/// # Errors
/// The first thing in it that cannot be used.
pub fn verify(text: &str) -> Result<(), Flaw> {
    let stored: Stored = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        // No more than the message: the line may hold a secret.
        Flaw::new(text, offset, error.message())
    })?;
    let place = |value: &str| text.find(value).unwrap_or(0);
    if !is_known(&stored) {
        return Err(Flaw::new(text, place("version"), UNKNOWN));
    }
    match parts(&stored) {
        Ok(_) => Ok(()),
        Err(Unusable { value, why }) => Err(Flaw::new(text, place(value), why)),
    }
}

fn is_known(stored: &Stored) -> bool {
    (VERSION_MIN..=VERSION).contains(&stored.version)
}

fn understand(stored: &Stored, path: &Path) -> Result<Keys, KeysError> {
    parts(stored).map_err(|Unusable { why, .. }| KeysError::Content {
        path: path.into(),
        why,
    })
}

/// A value of the file that cannot be used.
struct Unusable<'a> {
    value: &'a str,
    why: &'static str,
}

fn parts(stored: &Stored) -> Result<Keys, Unusable<'_>> {
    let mut sealing = Vec::new();
    for key in &stored.sealing {
        sealing.push(key.usable()?);
    }
    let mut signing = Vec::new();
    for key in &stored.signing {
        let pkcs8 = STANDARD.decode(&key.pkcs8).unwrap_or_default();
        let mut signs = SigningKey::from_pkcs8(&pkcs8).ok_or(Unusable {
            value: &key.pkcs8,
            why: "a signing key is not an RSA key",
        })?;
        if let Some(retired_ms) = key.retired_ms {
            signs.until_ms = retired_ms.saturating_add(SIGNED_LIFE_MS);
        }
        signing.push(signs);
    }
    if sealing.is_empty() || signing.is_empty() {
        let why = "holds no sealing or no signing key";
        return Err(Unusable { value: "", why });
    }
    let developer = match &stored.developer {
        Some(key) => Some(key.usable()?),
        None => None,
    };
    Ok(Keys::new(&sealing, signing, developer.as_ref()))
}

impl StoredMaster {
    pub(super) fn generate(id: u32) -> Self {
        // Two uuids hold 244 random bits.
        let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        Self {
            id,
            secret: STANDARD.encode(secret),
            retired_ms: None,
        }
    }

    fn usable(&self) -> Result<Master, Unusable<'_>> {
        self.master().ok_or(Unusable {
            value: &self.secret,
            why: "a sealing key is not 32 bytes in base64",
        })
    }

    fn master(&self) -> Option<Master> {
        let secret = STANDARD.decode(&self.secret).ok()?;
        Some(Master {
            id: self.id,
            secret: secret.try_into().ok()?,
            until_ms: self.retired_ms.map_or(u64::MAX, |retired_ms| {
                retired_ms.saturating_add(SEALED_LIFE_MS)
            }),
        })
    }

    fn render(&self, text: &mut String, section: &str) -> std::fmt::Result {
        write!(
            text,
            "\n{section}\nid = {}\nsecret = \"{}\"\n",
            self.id, self.secret
        )?;
        render_retired(text, self.retired_ms)
    }
}

impl StoredSigning {
    pub(super) fn generate() -> Result<Self, KeysError> {
        let key = SigningKey::generate().ok_or(KeysError::Randomness)?;
        Ok(Self {
            pkcs8: STANDARD.encode(key.pkcs8()),
            retired_ms: None,
        })
    }

    fn render(&self, text: &mut String) -> std::fmt::Result {
        write!(text, "\n[[signing]]\npkcs8 = \"{}\"\n", self.pkcs8)?;
        render_retired(text, self.retired_ms)
    }
}

fn render_retired(text: &mut String, retired_ms: Option<u64>) -> std::fmt::Result {
    retired_ms.map_or(Ok(()), |retired_ms| {
        writeln!(text, "retired_ms = {retired_ms}")
    })
}

fn render(stored: &Stored) -> Result<String, std::fmt::Error> {
    let mut text = String::from(
        "# The keys that seal tokens and temporary credentials, and from which the secrets of\n\
         # developers' keys follow: whoever has them can sign in as anyone, and without them\n\
         # nobody's tokens are believed any more. The last of each kind is used for new tokens.\n",
    );
    writeln!(text, "version = {VERSION}")?;
    for key in &stored.sealing {
        key.render(&mut text, "[[sealing]]")?;
    }
    for key in &stored.signing {
        key.render(&mut text)?;
    }
    if let Some(key) = &stored.developer {
        key.render(&mut text, "[developer]")?;
    }
    Ok(text)
}

/// The name comes to be only after its bytes are durable, so a crash leaves all or nothing.
pub(super) fn store(directory: &Path, stored: &Stored) -> Result<(), KeysError> {
    // Writing to a string cannot fail.
    let text = render(stored).unwrap_or_default();
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
    fn a_file_of_version_1_is_believed_and_gets_a_master_for_developers() {
        let directory = tempfile::tempdir().unwrap();
        Keys::obtain(directory.path()).unwrap();
        let path = directory.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        let (old, _) = text.split_once("\n[developer]").unwrap();
        fs::write(&path, old.replace("version = 2", "version = 1")).unwrap();
        let keys = Keys::obtain(directory.path()).unwrap();
        let secret = keys.developer_secret(1, "AKIA", &[1; 16]).unwrap();
        let again = Keys::obtain(directory.path()).unwrap();
        assert_eq!(again.developer_secret(1, "AKIA", &[1; 16]), Some(secret));
        assert_eq!(again.signing().id, keys.signing().id);
    }

    #[test]
    fn a_damaged_file_is_refused_and_kept() {
        for text in [
            "",
            "version = 3\nsealing = []\nsigning = []\n",
            "version = 1\nsealing = []\n\
            signing = []\n",
            "version = 1\nsigning = []\n[[sealing]]\nid = 1\nsecret = \"AAAA\"\n",
        ] {
            assert!(verify(text).is_err(), "{text:?}");
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(FILE), text).unwrap();
            assert!(Keys::obtain(directory.path()).is_err(), "{text:?}");
            assert_eq!(
                fs::read_to_string(directory.path().join(FILE)).unwrap(),
                text
            );
        }
    }

    #[test]
    fn a_flaw_names_its_line_and_shows_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        Keys::obtain(directory.path()).unwrap();
        let good = fs::read_to_string(directory.path().join(FILE)).unwrap();
        assert_eq!(verify(&good), Ok(()));
        let lines: Vec<&str> = good.lines().collect();
        let at = |start: &str| {
            lines
                .iter()
                .position(|line| line.starts_with(start))
                .unwrap()
        };
        for start in ["secret", "pkcs8"] {
            let number = at(start);
            let value = lines[number].split('"').nth(1).unwrap();
            for (changed, why) in [
                (value.replacen(&value[..8], "%%%%%%%%", 1), " key is not "),
                (format!("{value}\" x"), ""),
            ] {
                let flaw = verify(&good.replace(value, &changed)).unwrap_err();
                assert_eq!(flaw.line, number + 1, "{flaw:?}");
                assert!(flaw.why.contains(why), "{flaw:?}");
                assert!(!flaw.why.contains(&value[10..20]), "{flaw:?}");
            }
        }
    }
}
