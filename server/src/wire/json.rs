//! Reading bodies: an object is an object, nothing is doubled, and what does not fit says where.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ApiError;

/// Most pairs that a map of any operation may have: tags of a pool, 50.
const PAIRS_MAX: usize = 64;

/// Deepest nesting of a body. The deepest that any operation knows is 3; unknown members may nest.
const DEPTH_MAX: usize = 64;

/// Reads a request body. No body at all is the empty object, as some clients send it.
///
/// # Errors
/// `SerializationException` with the place and the reason.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    if is_too_deep(body) {
        let message = format!("The request body is invalid: nested deeper than {DEPTH_MAX}");
        return Err(ApiError::serialization(message));
    }
    match serde_json::from_slice::<Object<T>>(body) {
        Ok(object) => Ok(object.0),
        Err(error) => Err(ApiError::serialization(format!(
            "The request body is invalid: {error}"
        ))),
    }
}

/// Whether a body nests too deeply. The parser bounds only what it keeps, not what it skips.
fn is_too_deep(body: &[u8]) -> bool {
    // Few bodies have so many brackets at all. Both kinds differ in one bit, and without an early
    // end the compiler counts many bytes at a time.
    let brackets = body.iter().filter(|byte| **byte | 0x20 == b'{').count();
    if brackets <= DEPTH_MAX {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in body {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

/// A struct that was written as an object. Derived structs alone would also read an array of their
/// members in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// For a list that is refused before it is longer than `MAX`: a body may hold millions of members
/// that take hardly a byte each.
pub fn at_most<'de, const MAX: usize, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    struct Members<T, const MAX: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Members<T, MAX> {
        type Value = Option<Vec<T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = list.next_element()? {
                if members.len() == MAX {
                    let error = format!("a list has more than {MAX} members");
                    return Err(A::Error::custom(error));
                }
                members.push(member);
            }
            Ok(Some(members))
        }
    }
    deserializer.deserialize_any(Members::<T, MAX>(PhantomData))
}

/// A map of strings in the order of the document; no name twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs: Vec<(String, String)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    if pairs.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a map has the same name twice"));
                    }
                    if pairs.len() == PAIRS_MAX {
                        return Err(A::Error::custom("a map has more than 64 members"));
                    }
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct Sample {
        name: Option<String>,
        count: Option<i64>,
        map: Option<Pairs>,
        list: Option<Vec<Object<Sample>>>,
    }

    fn read_text(text: &str) -> Result<Sample, ApiError> {
        read(text.as_bytes())
    }

    #[test]
    fn a_list_is_refused_before_it_is_longer_than_it_may_be() {
        #[derive(Debug, Deserialize)]
        struct Listed {
            #[serde(default, deserialize_with = "at_most::<2, _, _>")]
            list: Option<Vec<u8>>,
        }
        let read = |text: &str| read::<Listed>(text.as_bytes()).map(|listed| listed.list);
        assert_eq!(read("{}").unwrap(), None);
        assert_eq!(read(r#"{"list":null}"#).unwrap(), None);
        assert_eq!(read(r#"{"list":[1,2]}"#).unwrap(), Some(vec![1, 2]));
        let error = read(r#"{"list":[1,2,3]}"#).unwrap_err();
        assert!(
            error.message.contains("more than 2 members"),
            "{}",
            error.message
        );
    }

    #[test]
    fn absent_null_and_unknown_members_are_fine() {
        let empty = Sample {
            name: None,
            count: None,
            map: None,
            list: None,
        };
        for text in [
            "",
            "{}",
            r#"{"Name":null}"#,
            r#"{"Other":[{"a":1.5}],"Name":null}"#,
        ] {
            assert_eq!(read_text(text).unwrap(), empty);
        }
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        let brackets = "[{".repeat(100);
        let text = format!(r#"{{"Name":"\"{brackets}\\\"","Count":1}}"#);
        assert_eq!(read_text(&text).unwrap().count, Some(1));
        let level =
            |depth: usize| format!("{{\"Other\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(read_text(&level(DEPTH_MAX - 1)).is_ok());
        assert!(read_text(&level(DEPTH_MAX)).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_reason() {
        let deep = format!("{{\"Other\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for (text, reason) in [
            ("[", "expected an object"),
            ("[\"name\"]", "invalid type: sequence, expected an object"),
            ("null", "invalid type: null, expected an object"),
            (
                "{\"Name\":5}",
                "invalid type: integer `5`, expected a string at line 1 column 9",
            ),
            ("{\"Name\":\"a\",\"Name\":\"b\"}", "duplicate field `Name`"),
            ("{\"Count\":1.5}", "expected i64"),
            ("{\"Count\":99999999999999999999}", "expected i64"),
            ("{\"Map\":{\"a\":\"1\",\"a\":\"2\"}}", "same name twice"),
            ("{\"Map\":{\"a\":null}}", "expected a string"),
            (
                "{\"List\":[[\"a\"]]}",
                "invalid type: sequence, expected an object",
            ),
            (
                "{\"List\":[null]}",
                "invalid type: null, expected an object",
            ),
            ("{} {}", "trailing characters"),
            ("{\"Name\":\"\u{1}\"}", "control character"),
            ("{\"Name\":\"\\ud800\"}", "escape"),
            (&deep, "nested deeper than 64"),
        ] {
            let error = read_text(text).unwrap_err();
            assert_eq!(error.kind.name(), "SerializationException");
            assert!(error.message.contains(reason), "{text}: {}", error.message);
        }
        let error = read::<Sample>(b"{\"Name\":\"\xff\"}").unwrap_err();
        assert!(error.message.contains("unicode"), "{}", error.message);
    }
}
