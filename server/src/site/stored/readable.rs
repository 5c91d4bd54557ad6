//! Keys as people read them.

use std::fmt::Display;

use syncline_engine::MetadataKey;
use uuid::Uuid;

use super::{
    BULK_PUBLISH, CONFIGURATION, DEVICE, DOOMED, EVENTS, FORMER, HOME, IDENTITY, LINKS, LOGIN,
    MERGED, POOL, PRINCIPAL_TAGS, PUBLISHING, PUSH_CURSOR, ROLES, SESSIONS, STREAM, STREAM_CURSOR,
    SUBSCRIBERS, developer_of, pool_of,
};

/// Bytes of a hash in a key.
const HASH_BYTES: usize = 32;

/// What a key is of, in a few words. One that the server does not have is told byte by byte.
#[must_use]
pub fn readable(key: &MetadataKey) -> String {
    parts(key).unwrap_or_else(|| key.to_string())
}

fn parts(key: &MetadataKey) -> Option<String> {
    if let Some(id) = developer_of(key) {
        return Some(format!("the access key {id}"));
    }
    if let Some(pool) = pool_of(key) {
        return Some(format!("the pool {pool}"));
    }
    let (kind, rest) = key.as_bytes().split_first()?;
    if (*kind, rest) == (PUSH_CURSOR, &[]) {
        return Some("how far was pushed".to_owned());
    }
    if (*kind, rest) == (LINKS, &[]) {
        return Some("what links lead to".to_owned());
    }
    let (first, rest) = uuid(rest)?;
    let of_pool = |what: &str| Some(format!("{what} of the pool ...:{first}"));
    let of_identity = |what: &dyn Display, identity: Uuid| {
        Some(format!(
            "{what} of the identity ...:{identity} in the pool ...:{first}"
        ))
    };
    match *kind {
        POOL => None,
        HOME => Some(format!("the pool of the identity ...:{first}")),
        LOGIN => of_pool("a login"),
        SESSIONS => of_pool("the count of sessions"),
        CONFIGURATION => of_pool("the configuration"),
        EVENTS => of_pool("the functions"),
        BULK_PUBLISH => of_pool("the bulk publish"),
        STREAM_CURSOR => of_pool("the place in the stream"),
        PUBLISHING => of_pool("the position of the bulk publish"),
        STREAM => of_pool("the beginning of the stream"),
        DOOMED => of_pool("the deletion"),
        ROLES => of_pool("the roles"),
        PRINCIPAL_TAGS => of_pool("principal tags"),
        IDENTITY => of_identity(&"the record", uuid(rest)?.0),
        FORMER => of_identity(&"the merge", uuid(rest)?.0),
        DEVICE => {
            let (identity, rest) = uuid(rest)?;
            of_identity(&format!("the device {}", uuid(rest)?.0), identity)
        }
        SUBSCRIBERS => {
            let (identity, name) = uuid(rest)?;
            let name = name.escape_ascii();
            of_identity(&format!("the subscribers of \"{name}\""), identity)
        }
        MERGED => {
            let (identity, rest) = uuid(rest)?;
            let name = rest.get(HASH_BYTES..)?.escape_ascii();
            of_identity(&format!("the report of \"{name}\""), identity)
        }
        _ => None,
    }
}

fn uuid(bytes: &[u8]) -> Option<(Uuid, &[u8])> {
    let (uuid, rest) = bytes.split_at_checked(16)?;
    Some((Uuid::from_slice(uuid).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::super::{
        Id, Login, developer_key, device_key, home_key, identity_key, login_key, pool_key,
        push_cursor_key, sessions_key,
    };
    use super::*;

    #[test]
    fn keys_tell_what_they_are_of() {
        let (pool, one, two) = (Id::new("eu-1"), Uuid::new_v4(), Uuid::new_v4());
        let login = Login::default();
        for (key, words) in [
            (pool_key(&pool), format!("the pool {pool}")),
            (
                identity_key(pool.uuid, one),
                format!(
                    "the record of the identity ...:{one} in the pool ...:{}",
                    pool.uuid
                ),
            ),
            (home_key(one), format!("the pool of the identity ...:{one}")),
            (
                login_key(pool.uuid, &login),
                format!("a login of the pool ...:{}", pool.uuid),
            ),
            (
                sessions_key(pool.uuid),
                format!("the count of sessions of the pool ...:{}", pool.uuid),
            ),
            (
                device_key(pool.uuid, one, two),
                format!(
                    "the device {two} of the identity ...:{one} in the pool ...:{}",
                    pool.uuid
                ),
            ),
            (developer_key("AKIAX"), "the access key AKIAX".to_owned()),
            (push_cursor_key(), "how far was pushed".to_owned()),
            (
                MetadataKey::new(vec![200, 1]).unwrap(),
                "\"\\xc8\\x01\"".to_owned(),
            ),
            (
                MetadataKey::new(vec![IDENTITY, 1]).unwrap(),
                "\"\\x02\\x01\"".to_owned(),
            ),
        ] {
            assert_eq!(readable(&key), words);
        }
    }
}
