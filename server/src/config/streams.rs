//! Where changes flow to: sections `[streams.NAME]`, and `[streaming]` for what all have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::functions::address;
use super::{ConfigError, Secret, refuse, shown_url};

/// Most streams.
const STREAMS_MAX: usize = 1000;
/// Longest name of a stream, in characters, as in the API model.
const NAME_CHARS_MAX: usize = 128;
/// Smallest file that is worth a name of its own, and the largest that anyone wants to copy.
const ROTATE_BYTES: (u64, u64) = (4 << 10, 1 << 40);
/// Most events in one request of a webhook.
pub const BATCH_EVENTS_MAX: usize = 1000;
/// Longest time for which a sink is waited for: 30 days.
pub const GIVE_UP_SECONDS_MAX: u64 = 30 * 24 * 3600;
/// Longest time between two bulk publishes: a year.
const PERIOD_HOURS_MAX: u64 = 366 * 24;
/// Longest time that one request of a webhook may take: 5 minutes.
const TIMEOUT_MS_MAX: u64 = 300_000;

/// A section `[streams.NAME]`: where a stream that a pool names goes to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum StreamConfig {
    /// Files of one JSON text a line.
    File {
        /// The directory of the files, which nothing else writes to.
        path: PathBuf,
        /// A file that has so many bytes is the last one's last; the next event begins another.
        #[serde(default = "rotate_bytes")]
        rotate_bytes: u64,
        /// How the files are compressed, if they are.
        compress: Option<Compress>,
        /// The pools that it takes; `None`: every one.
        pools: Option<Vec<String>>,
    },
    /// A service of the operator's, to which events are posted.
    Http {
        /// Where.
        url: String,
        /// What the requests are signed with.
        #[serde(deserialize_with = "secret")]
        secret: Secret,
        /// Events in one request, at most.
        #[serde(default = "batch_events")]
        batch_events: usize,
        /// How long one request may take, in milliseconds.
        #[serde(default = "timeout_ms")]
        timeout_ms: u64,
        /// The pools that it takes; `None`: every one.
        pools: Option<Vec<String>>,
    },
    /// Amazon Kinesis, or what speaks like it.
    Kinesis {
        /// Where, if not Amazon's own.
        endpoint_url: Option<String>,
        /// The region.
        region: String,
        /// Signs.
        access_key_id: String,
        /// Signs.
        #[serde(deserialize_with = "secret")]
        secret_access_key: Secret,
        /// The stream there.
        stream_name: String,
        /// The pools that it takes; `None`: every one.
        pools: Option<Vec<String>>,
    },
    /// A NATS server.
    Nats {
        /// Where.
        url: String,
        /// The subject of the messages.
        subject: String,
        /// The pools that it takes; `None`: every one.
        pools: Option<Vec<String>>,
    },
}

/// How files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    /// As zstd does.
    Zstd,
}

/// Section `[streaming]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamingConfig {
    /// A sink that takes nothing for so long has its streams disabled.
    pub give_up_seconds: u64,
    /// A stream that is enabled again goes on where it stopped, as long as the feed reaches back to
    /// that, instead of beginning at the present.
    pub resume: bool,
    /// How long after a bulk publish that succeeded the next one of the same pool must wait; 0: not
    /// at all.
    pub bulk_publish_period_hours: u64,
    /// Bytes of keys and values that a bulk publish sends a second; 0: no limit.
    pub bulk_publish_bytes_per_second: u64,
}

impl StreamingConfig {
    /// See [`StreamingConfig::give_up_seconds`].
    #[must_use]
    pub fn give_up(&self) -> Duration {
        Duration::from_secs(self.give_up_seconds)
    }

    /// See [`StreamingConfig::bulk_publish_period_hours`].
    #[must_use]
    pub fn bulk_publish_period_ms(&self) -> u64 {
        self.bulk_publish_period_hours * 3_600_000
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(1..=GIVE_UP_SECONDS_MAX).contains(&self.give_up_seconds) {
            let why = format!("must be between 1 and {GIVE_UP_SECONDS_MAX}");
            return refuse("streaming.give_up_seconds", why);
        }
        if self.bulk_publish_period_hours > PERIOD_HOURS_MAX {
            let why = format!("must be at most {PERIOD_HOURS_MAX}");
            return refuse("streaming.bulk_publish_period_hours", why);
        }
        Ok(())
    }
}

impl Default for StreamingConfig {
    fn default() -> Self {
        Self {
            give_up_seconds: 24 * 3600,
            resume: false,
            bulk_publish_period_hours: 24,
            bulk_publish_bytes_per_second: 16 << 20,
        }
    }
}

impl StreamConfig {
    /// What it is, in words for the operator; shows no secret.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::File { path, compress, .. } => {
                let compressed = match compress {
                    None => "",
                    Some(Compress::Zstd) => ", compressed with zstd",
                };
                format!("files in {}{compressed}", path.display())
            }
            Self::Http { url, .. } => format!("posts to {}", shown_url(url)),
            Self::Kinesis { stream_name, .. } => format!("the Kinesis stream {stream_name}"),
            Self::Nats { url, subject, .. } => {
                format!("the subject {subject} of {}", shown_url(url))
            }
        }
    }

    /// Whether a pool may name it.
    #[must_use]
    pub fn takes(&self, pool: &str) -> bool {
        self.pools()
            .is_none_or(|pools| pools.iter().any(|named| named == pool))
    }

    fn pools(&self) -> Option<&[String]> {
        match self {
            Self::File { pools, .. }
            | Self::Http { pools, .. }
            | Self::Kinesis { pools, .. }
            | Self::Nats { pools, .. } => pools.as_deref(),
        }
    }

    fn check_pools(&self) -> Result<(), String> {
        let pools = self.pools();
        if pools.is_some_and(<[String]>::is_empty) {
            return Err("pools names none: leave it out for every pool".to_owned());
        }
        let wrong = pools.into_iter().flatten().find(|pool| !is_pool(pool));
        wrong.map_or(Ok(()), |pool| {
            Err(format!(
                "pools must be ids, REGION:UUID in lower case, not {pool:?}"
            ))
        })
    }

    fn check(&self, data: &Path) -> Result<(), String> {
        match self {
            Self::File {
                path,
                rotate_bytes,
                compress,
                ..
            } => check_files(path, *rotate_bytes, *compress, data),
            Self::Http {
                url,
                secret,
                batch_events,
                timeout_ms,
                ..
            } => {
                address(url.clone()).map_err(|why| format!("url: {why}"))?;
                if secret.expose().is_empty() {
                    return Err("secret must not be empty: requests are signed with it".to_owned());
                }
                if !(1..=BATCH_EVENTS_MAX).contains(batch_events) {
                    return Err(format!(
                        "batch_events must be between 1 and {BATCH_EVENTS_MAX}"
                    ));
                }
                if !(1..=TIMEOUT_MS_MAX).contains(timeout_ms) {
                    return Err(format!("timeout_ms must be between 1 and {TIMEOUT_MS_MAX}"));
                }
                Ok(())
            }
            Self::Kinesis {
                endpoint_url,
                region,
                stream_name,
                ..
            } => {
                let url = endpoint_url.clone().map(address).transpose();
                url.map_err(|why| format!("endpoint_url: {why}"))?;
                if region.is_empty() || stream_name.is_empty() {
                    return Err("region and stream_name must not be empty".to_owned());
                }
                Ok(())
            }
            Self::Nats { .. } if !cfg!(feature = "nats") => Err(lacks("type \"nats\"", "nats")),
            Self::Nats { url, subject, .. } => {
                let schemes = ["nats://", "tls://"];
                if !schemes.iter().any(|scheme| url.starts_with(scheme)) {
                    return Err("url must be nats://HOST[:PORT] or tls://HOST[:PORT]".to_owned());
                }
                let is_word = |c: char| !c.is_whitespace() && c != '*' && c != '>';
                if subject.is_empty() || !subject.chars().all(is_word) {
                    return Err("subject must be one subject, without spaces, * and >".to_owned());
                }
                Ok(())
            }
        }
    }
}

/// Refuses streams that cannot work, two that write to one directory among them.
pub(super) fn check(
    streams: &BTreeMap<String, StreamConfig>,
    data: &Path,
) -> Result<(), ConfigError> {
    if streams.len() > STREAMS_MAX {
        return refuse("[streams]", format!("has more than {STREAMS_MAX} streams"));
    }
    let mut directories = BTreeSet::new();
    for (name, stream) in streams {
        let say = |why: String| refuse("[streams]", format!("{name:?}: {why}"));
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            return say(format!(
                "the name must have 1 to {NAME_CHARS_MAX} characters"
            ));
        }
        if let Err(why) = stream.check_pools().and_then(|()| stream.check(data)) {
            return say(why);
        }
        if let StreamConfig::File { path, .. } = stream
            && !directories.insert(absolute(path).unwrap_or_else(|_| path.clone()))
        {
            return say("path is that of another stream; each needs its own".to_owned());
        }
    }
    Ok(())
}

fn check_files(
    path: &Path,
    rotate_bytes: u64,
    compress: Option<Compress>,
    data: &Path,
) -> Result<(), String> {
    if compress == Some(Compress::Zstd) && !cfg!(feature = "zstd") {
        return Err(lacks("compress = \"zstd\"", "zstd"));
    }
    let (least, most) = ROTATE_BYTES;
    if !(least..=most).contains(&rotate_bytes) {
        return Err(format!(
            "rotate_bytes must be between {least} and {most}, not {rotate_bytes}"
        ));
    }
    let (Ok(path), Ok(data)) = (absolute(path), absolute(data)) else {
        return Err("path must name a directory".to_owned());
    };
    if path.starts_with(&data) || data.starts_with(&path) {
        return Err("path must be outside of the data directory".to_owned());
    }
    Ok(())
}

/// Whether a text is an id of an identity pool.
fn is_pool(text: &str) -> bool {
    // Other spellings of a uuid would never match.
    let is_uuid = |text| Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string() == text);
    let parts = text.split_once(':');
    parts.is_some_and(|(region, uuid)| !region.is_empty() && is_uuid(uuid))
}

/// What to do if this program was built without something.
fn lacks(wish: &str, feature: &str) -> String {
    format!(
        "{wish} needs a program with the feature {feature}: build it with `cargo build --release \
         --features full`"
    )
}

fn rotate_bytes() -> u64 {
    256 << 20
}

fn batch_events() -> usize {
    100
}

fn timeout_ms() -> u64 {
    10_000
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn check(text: &str) -> Result<(), String> {
        let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn no_secret_of_an_address_is_shown() {
        for (url, shown) in [
            ("https://h:1/hooks/token?a=b", "https://h:1"),
            ("http://user:pass@h/x@y", "h"),
            ("nats://user:p@ss@h:4222", "h:4222"),
            ("nats://h", "nats://h"),
        ] {
            assert_eq!(super::shown_url(url), shown);
        }
    }

    #[test]
    fn files_are_compressed_by_what_this_program_has() {
        let file = "[streams.a]\ntype = \"file\"\npath = \"x\"\ncompress = ";
        let error = check(&format!("{file}\"gzip\"")).unwrap_err();
        assert!(error.contains("unknown variant `gzip`"), "{error}");
        let checked = check(&format!("{file}\"zstd\""));
        if cfg!(feature = "zstd") {
            checked.unwrap();
        } else {
            let error = checked.unwrap_err();
            assert!(error.contains("the feature zstd: build it with"), "{error}");
        }
    }

    #[test]
    fn pools_are_named_by_their_ids() {
        let file = "[streams.a]\ntype = \"file\"\npath = \"x\"\npools = ";
        for (pools, words) in [("[]", "pools names none"), ("['game']", "must be ids")] {
            let error = check(&format!("{file}{pools}")).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_stream_that_cannot_work_is_refused_with_the_reason() {
        check("[streams.a]\ntype = \"file\"\npath = \"out\"").unwrap();
        check("[streams.a]\ntype = \"http\"\nurl = \"http://x/y\"\nsecret = \"s\"").unwrap();
        for (text, words) in [
            ("type = \"file\"", "missing field `path`"),
            ("type = \"fil\"", "unknown variant `fil`"),
            (
                "type = \"file\"\npath = \"x\"\nurl = \"y\"",
                "unknown field `url`",
            ),
            (
                "type = \"file\"\npath = \"x\"\nrotate_bytes = 1",
                "rotate_bytes must be between",
            ),
            (
                "type = \"file\"\npath = \"syncline-data/x\"",
                "outside of the data directory",
            ),
            (
                "type = \"file\"\npath = \".\"",
                "outside of the data directory",
            ),
            (
                "type = \"http\"\nurl = \"http://x\"",
                "missing field `secret`",
            ),
            (
                "type = \"http\"\nurl = \"ftp://x\"\nsecret = \"s\"",
                "url: \"ftp://x\" must be http://",
            ),
            (
                "type = \"http\"\nurl = \"http://x\"\nsecret = \"\"",
                "secret must not be empty",
            ),
            (
                "type = \"http\"\nurl = \"http://x\"\nsecret = \"s\"\nbatch_events = 0",
                "batch_events must be between 1 and 1000",
            ),
            (
                "type = \"kinesis\"\nregion = \"r\"\naccess_key_id = \"a\"\n\
                 secret_access_key = \"s\"\nstream_name = \"\"",
                "region and stream_name must not be empty",
            ),
            (
                "type = \"nats\"\nurl = \"http://x\"\nsubject = \"s\"",
                if cfg!(feature = "nats") {
                    "url must be nats://"
                } else {
                    "needs a program with the feature nats"
                },
            ),
            (
                "type = \"file\"\npath = \"x\"\n[streams.b]\ntype = \"file\"\npath = \"./x\"",
                "path is that of another stream",
            ),
        ] {
            let error = check(&format!("[streams.a]\n{text}")).unwrap_err();
            assert!(error.contains(words), "{text}\n{error}");
        }
        let error = check("[streaming]\ngive_up_seconds = 0").unwrap_err();
        assert!(
            error.contains("streaming.give_up_seconds must be between 1"),
            "{error}"
        );
    }
}
