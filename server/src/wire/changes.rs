//! The query of the list of changes.

use percent_encoding::percent_decode_str;

use crate::error::ApiError;

/// What the list may be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ChangesQuery {
    /// Where to begin.
    pub cursor: Option<String>,
    /// At most so many changes.
    pub limit: Option<i64>,
    /// Seconds to wait for a change.
    pub wait: Option<i64>,
}

impl ChangesQuery {
    /// Reads the raw query of a request, without its question mark. What a signature puts there is
    /// passed over.
    ///
    /// # Errors
    /// `SerializationException` when a value is not UTF-8, a name comes twice or is not known, or a
    /// number is none.
    pub fn parse(raw: &str) -> Result<Self, ApiError> {
        let mut query = Self::default();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| ApiError::serialization("The query is not percent-encoded UTF-8."))?;
            let is_doubled = match name {
                "cursor" => query.cursor.replace(value.into_owned()).is_some(),
                "limit" => query.limit.replace(number(name, &value)?).is_some(),
                "wait" => query.wait.replace(number(name, &value)?).is_some(),
                _ if name.starts_with("X-Amz-") => false,
                _ => {
                    return Err(ApiError::serialization(
                        "The query may have cursor, limit and wait, and nothing else.",
                    ));
                }
            };
            if is_doubled {
                let message = format!("The query has '{name}' twice.");
                return Err(ApiError::serialization(message));
            }
        }
        Ok(query)
    }
}

fn number(name: &str, value: &str) -> Result<i64, ApiError> {
    let wrong = || ApiError::serialization(format!("'{name}' must be an integer."));
    value.parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_read_and_others_refused() {
        let query = ChangesQuery::parse("cursor=a%2Db&limit=7&wait=0&X-Amz-Date=1").unwrap();
        let expected = ChangesQuery {
            cursor: Some("a-b".to_owned()),
            limit: Some(7),
            wait: Some(0),
        };
        assert_eq!(query, expected);
        assert_eq!(ChangesQuery::parse("").unwrap(), ChangesQuery::default());
        for raw in [
            "curser=a",
            "wait=a",
            "wait=",
            "limit=1&limit=2",
            "cursor=%ff",
        ] {
            let error = ChangesQuery::parse(raw).unwrap_err();
            assert_eq!(error.kind.name(), "SerializationException", "{raw}");
        }
    }
}
