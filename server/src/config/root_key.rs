//! The developer's (root) access key: from the environment, or made once and kept in the data
//! directory in the form of an AWS credentials file.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use uuid::Uuid;

use super::Flaw;

/// Environment variable with the root access key id.
pub const ACCESS_KEY_ID_VARIABLE: &str = "SYNCLINE_ROOT_ACCESS_KEY_ID";
/// Environment variable with the root secret access key.
pub const SECRET_VARIABLE: &str = "SYNCLINE_ROOT_SECRET_ACCESS_KEY";
/// The file in the data directory that keeps a key made by the server.
pub const CREDENTIALS_FILE: &str = "credentials";

/// A secret access key. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a secret so that it is not shown by accident.
    pub fn new(secret: impl Into<Box<str>>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the one who computes with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The developer's key, which may do everything.
#[derive(Clone, Debug)]
pub struct RootKey {
    /// The public half, which requests name.
    pub access_key_id: String,
    /// The private half, which signs.
    pub secret: Secret,
    /// The file it was read from; `None`: the environment.
    pub file: Option<PathBuf>,
}

/// Why there is no root key.
#[derive(Debug, Error)]
pub enum RootKeyError {
    /// Half a key, or one of the wrong form, in the environment.
    #[error("{variable} {why}")]
    Environment {
        /// Which variable.
        variable: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// The verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is there but holds no key.
    #[error("{} holds no aws_access_key_id and aws_secret_access_key", path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
}

impl RootKey {
    /// The key of the environment, else that of the data directory, where one is made at the
    /// first start. The directory must exist.
    ///
    /// # Errors
    /// When the environment holds half a key, or the file cannot be used.
    pub fn obtain(
        directory: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, RootKeyError> {
        match (variable(ACCESS_KEY_ID_VARIABLE), variable(SECRET_VARIABLE)) {
            (Some(id), Some(secret)) => Self::from_environment(id, secret),
            (None, None) => Self::from_file(&directory.join(CREDENTIALS_FILE)),
            (Some(_), None) => Err(missing(SECRET_VARIABLE)),
            (None, Some(_)) => Err(missing(ACCESS_KEY_ID_VARIABLE)),
        }
    }

    fn from_environment(access_key_id: String, secret: String) -> Result<Self, RootKeyError> {
        if !is_access_key_id(&access_key_id) {
            let why = "must be 1 to 128 of [A-Za-z0-9_]";
            return Err(RootKeyError::Environment {
                variable: ACCESS_KEY_ID_VARIABLE,
                why,
            });
        }
        if !is_secret(&secret) {
            let why = "must be 8 to 256 printable ASCII characters without spaces";
            return Err(RootKeyError::Environment {
                variable: SECRET_VARIABLE,
                why,
            });
        }
        Ok(Self {
            access_key_id,
            secret: Secret::new(secret),
            file: None,
        })
    }

    fn from_file(path: &Path) -> Result<Self, RootKeyError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(path),
            Err(source) => Err(RootKeyError::File {
                doing: "read",
                path: path.into(),
                source,
            }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, RootKeyError> {
        let value = |name: &str| {
            text.lines().find_map(|line| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == name).then(|| value.trim().to_owned())
            })
        };
        match (value("aws_access_key_id"), value("aws_secret_access_key")) {
            (Some(id), Some(secret)) if is_access_key_id(&id) && is_secret(&secret) => Ok(Self {
                access_key_id: id,
                secret: Secret::new(secret),
                file: Some(path.into()),
            }),
            _ => Err(RootKeyError::Form { path: path.into() }),
        }
    }

    /// Verifies a text of the file's form, line by line.
    ///
    /// # Errors
    /// The first line that no such file has, or that the key is not whole.
    pub fn verify(text: &str) -> Result<(), Flaw> {
        let (mut offset, mut id, mut secret) = (0, false, false);
        for line in text.split_inclusive('\n') {
            let flaw = |why: &str| Err(Flaw::new(text, offset, why));
            let bare = line.trim();
            match bare
                .split_once('=')
                .map(|(name, value)| (name.trim(), value.trim()))
            {
                Some(("aws_access_key_id", value)) if is_access_key_id(value) => id = true,
                Some(("aws_access_key_id", _)) => {
                    return flaw("the access key id is not 1 to 128 of [A-Za-z0-9_]");
                }
                Some(("aws_secret_access_key", value)) if is_secret(value) => secret = true,
                Some(("aws_secret_access_key", _)) => {
                    return flaw("the secret is not 8 to 256 printable characters");
                }
                Some(_) => {}
                None if bare.is_empty() || bare.starts_with(['#', ';', '[']) => {}
                None => return flaw("this is no line of a credentials file"),
            }
            offset += line.len();
        }
        if id && secret {
            return Ok(());
        }
        let why = "it holds no aws_access_key_id and aws_secret_access_key";
        Err(Flaw::new(text, 0, why))
    }

    fn make(path: &Path) -> Result<Self, RootKeyError> {
        // Two random uuids hold 244 random bits: 16 characters for the id, 40 for the secret.
        let id = random_letters(16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
        let secret = random_letters(
            40,
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        );
        let access_key_id = format!("AKIA{id}");
        let text = format!(
            "[default]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret}\n"
        );
        write_private(path, text.as_bytes()).map_err(|source| RootKeyError::File {
            doing: "write",
            path: path.into(),
            source,
        })?;
        Ok(Self {
            access_key_id,
            secret: Secret::new(secret),
            file: Some(path.into()),
        })
    }
}

fn missing(variable: &'static str) -> RootKeyError {
    RootKeyError::Environment {
        variable,
        why: "is missing, while its other half is set",
    }
}

fn is_access_key_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_secret(text: &str) -> bool {
    (8..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Letters of an alphabet whose size is a power of two, each from one byte of the system's
/// randomness. The bytes of a version 4 uuid that hold its version and variant are passed over.
fn random_letters(count: usize, alphabet: &[u8]) -> String {
    debug_assert!(alphabet.len().is_power_of_two());
    std::iter::repeat_with(Uuid::new_v4)
        .flat_map(|uuid| {
            let bytes = uuid.into_bytes();
            bytes
                .into_iter()
                .enumerate()
                .filter(|(at, _)| !matches!(at, 6 | 8))
                .map(|(_, b)| b)
        })
        .map(|byte| char::from(alphabet[usize::from(byte) % alphabet.len()]))
        .take(count)
        .collect()
}

/// Writes a file that only its owner can read, whole or not at all: a crash half-way leaves the
/// old state, since the name is given last.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    // The mode above holds only for a file made just now.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(id: Option<&str>, secret: Option<&str>) -> impl Fn(&str) -> Option<String> {
        let (id, secret) = (id.map(str::to_owned), secret.map(str::to_owned));
        move |name| match name {
            ACCESS_KEY_ID_VARIABLE => id.clone(),
            SECRET_VARIABLE => secret.clone(),
            _ => None,
        }
    }

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let made = RootKey::obtain(directory.path(), variables(None, None)).unwrap();
        let again = RootKey::obtain(directory.path(), variables(None, None)).unwrap();
        assert_eq!(made.access_key_id, again.access_key_id);
        assert_eq!(made.secret, again.secret);
        assert_eq!(made.access_key_id.len(), 20);
        assert_eq!(made.secret.expose().len(), 40);
        let file = again.file.unwrap();
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(
            fs::read_to_string(file)
                .unwrap()
                .starts_with("[default]\naws_access_key_id = A")
        );
    }

    #[test]
    fn the_environment_wins_and_must_be_whole() {
        let directory = tempfile::tempdir().unwrap();
        let key =
            RootKey::obtain(directory.path(), variables(Some("ME"), Some("a/secret"))).unwrap();
        assert_eq!(
            (key.access_key_id.as_str(), key.secret.expose()),
            ("ME", "a/secret")
        );
        assert!(!directory.path().join(CREDENTIALS_FILE).exists());
        for half in [
            variables(Some("ME"), None),
            variables(None, Some("a/secret")),
        ] {
            let error = RootKey::obtain(directory.path(), half).unwrap_err();
            assert!(matches!(error, RootKeyError::Environment { .. }), "{error}");
        }
    }

    #[test]
    fn a_file_without_a_key_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(CREDENTIALS_FILE), "[default]\n").unwrap();
        let error = RootKey::obtain(directory.path(), variables(None, None)).unwrap_err();
        assert!(matches!(error, RootKeyError::Form { .. }), "{error}");
        assert_eq!(
            fs::read_to_string(directory.path().join(CREDENTIALS_FILE)).unwrap(),
            "[default]\n"
        );
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("hidden")), "Secret");
    }
}
