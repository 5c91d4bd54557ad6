//! The query of the listings: names and values as sent, numbers not yet checked.

use percent_encoding::percent_decode_str;

use crate::error::ApiError;

/// What a listing may be told. Names that no listing knows are skipped.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// `lastSyncCount`.
    pub last_sync_count: Option<i64>,
    /// `maxResults`.
    pub max_results: Option<i64>,
    /// `nextToken`.
    pub next_token: Option<String>,
    /// `syncSessionToken`.
    pub sync_session_token: Option<String>,
    /// `wait`: seconds for which a listing may wait for changes.
    pub wait: Option<i64>,
}

impl Query {
    /// Reads the raw query of a request, without its question mark.
    ///
    /// # Errors
    /// When a value is not UTF-8, a known name comes twice or a number is none.
    pub fn parse(raw: &str) -> Result<Self, ApiError> {
        let mut query = Self::default();
        for pair in raw.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(ApiError::serialization(
                    "The query is not percent-encoded UTF-8",
                ));
            };
            let doubled = match name.as_str() {
                "lastSyncCount" => number(&name, &value)?
                    .is_some_and(|number| query.last_sync_count.replace(number).is_some()),
                "maxResults" => number(&name, &value)?
                    .is_some_and(|number| query.max_results.replace(number).is_some()),
                "wait" => number(&name, &value)?
                    .is_some_and(|number| query.wait.replace(number).is_some()),
                "nextToken" => set(&mut query.next_token, value),
                "syncSessionToken" => set(&mut query.sync_session_token, value),
                _ => false,
            };
            if doubled {
                return Err(ApiError::serialization(format!(
                    "The query has '{name}' twice"
                )));
            }
        }
        Ok(query)
    }
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// An empty value is an absent one: some clients write every name that they know.
fn set(slot: &mut Option<String>, value: String) -> bool {
    !value.is_empty() && slot.replace(value).is_some()
}

fn number(name: &str, value: &str) -> Result<Option<i64>, ApiError> {
    if value.is_empty() {
        return Ok(None);
    }
    value.parse().map(Some).map_err(|_| {
        let shown: String = value.chars().take(64).collect();
        ApiError::serialization(format!(
            "'{shown}' is not an integer, which '{name}' must be"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_read_and_others_skipped() {
        let query = Query::parse(
            "lastSyncCount=7&maxResults=1024&nextToken=a%2Fb%3D&syncSessionToken=x&wait=20&other=1",
        )
        .unwrap();
        assert_eq!(query.last_sync_count, Some(7));
        assert_eq!(query.max_results, Some(1024));
        assert_eq!(query.next_token.as_deref(), Some("a/b="));
        assert_eq!(query.sync_session_token.as_deref(), Some("x"));
        assert_eq!(query.wait, Some(20));
        assert_eq!(Query::parse("").unwrap(), Query::default());
        assert_eq!(
            Query::parse("nextToken=&maxResults=&x").unwrap(),
            Query::default()
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for raw in [
            "maxResults=ten",
            "maxResults=1.5",
            "lastSyncCount=99999999999999999999",
            "a=%ff",
            "nextToken=a&nextToken=b",
            "maxResults=1&maxResults=2",
        ] {
            let error = Query::parse(raw).unwrap_err();
            assert_eq!(error.kind.name(), "SerializationException", "{raw}");
        }
    }
}
