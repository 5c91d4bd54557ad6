//! What a function is shown of an update, and what it may answer.
//!
//! The answer has the form of the event. Only records may differ in it; what is missing there is
//! left out of the update.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use syncline_engine::{RecordKey, RecordValue};

use crate::error::ApiError;
use crate::wire::Object;

/// Most records of an answer: as many records and tombstones as a dataset can ever have.
const RECORDS_MAX: usize = 69_096;

/// The event of an update.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a> {
    /// The form of the event: 2.
    pub version: u32,
    /// `SyncTrigger`.
    pub event_type: &'static str,
    /// The region of the server.
    pub region: &'a str,
    /// The pool.
    pub identity_pool_id: &'a str,
    /// Whose dataset it is.
    pub identity_id: &'a str,
    /// The dataset.
    pub dataset_name: &'a str,
    /// All records of the dataset as they would be, those that the update leaves alone too.
    pub dataset_records: BTreeMap<&'a str, Shown<'a>>,
}

/// A record before and after an update.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown<'a> {
    /// The value that is stored; `None` if there is no such record.
    pub old_value: Option<&'a str>,
    /// The value that it is to have; `None` if it is removed.
    pub new_value: Option<&'a str>,
    /// Whether it is written or removed.
    pub op: Op,
}

/// Members that an answer must repeat, and what is in them.
pub(super) type Fixed = [(&'static str, Value); 6];

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// It has the new value.
    Replace,
    /// It is removed.
    Remove,
}

/// The records that a function answered with.
#[derive(Debug, Default)]
pub struct Reply {
    /// By key.
    pub records: BTreeMap<RecordKey, Returned>,
}

/// What a function wants of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returned {
    /// It is to have this value.
    Replace(RecordValue),
    /// It is to be removed.
    Remove,
}

impl Event<'_> {
    /// The JSON that is sent.
    ///
    /// # Errors
    /// None that can be.
    pub fn to_bytes(&self) -> Result<Bytes, ApiError> {
        serde_json::to_vec(self)
            .map(Bytes::from)
            .map_err(|error| ApiError::fault("laying out an event", &error))
    }

    /// What an answer must repeat.
    pub(super) fn fixed(&self) -> Fixed {
        [
            ("version", json!(self.version)),
            ("eventType", json!(self.event_type)),
            ("region", json!(self.region)),
            ("identityPoolId", json!(self.identity_pool_id)),
            ("identityId", json!(self.identity_id)),
            ("datasetName", json!(self.dataset_name)),
        ]
    }
}

impl Reply {
    /// Reads the answer to an event, of which it must repeat what is fixed.
    ///
    /// # Errors
    /// What is wrong with it, in words for the operator.
    pub(super) fn read(bytes: &[u8], fixed: &Fixed) -> Result<Self, String> {
        let shape: Object<Shape> = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let Object(shape) = shape;
        let answered = [
            shape.version,
            shape.event_type,
            shape.region,
            shape.identity_pool_id,
            shape.identity_id,
            shape.dataset_name,
        ];
        for ((name, sent), answered) in fixed.iter().zip(answered) {
            match answered {
                None => return Err(format!("it lacks {name}")),
                Some(answered) if answered != *sent => return Err(format!("it changed {name}")),
                Some(_) => {}
            }
        }
        let found = shape.dataset_records.ok_or("it lacks datasetRecords")?;
        let mut records = BTreeMap::new();
        for (key, Object(record)) in found.0 {
            let parsed = RecordKey::parse(&key).map_err(|error| error.to_string())?;
            let returned = record.returned().map_err(|why| format!("{key:?}: {why}"))?;
            if records.insert(parsed, returned).is_some() {
                return Err(format!("it has {key:?} twice"));
            }
        }
        Ok(Self { records })
    }
}

/// An answer as it is written. Members beside these mean nothing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    version: Option<Value>,
    event_type: Option<Value>,
    region: Option<Value>,
    identity_pool_id: Option<Value>,
    identity_id: Option<Value>,
    dataset_name: Option<Value>,
    dataset_records: Option<Records>,
}

/// A record of an answer as it is written. The old value is the server's to know.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    new_value: Option<String>,
    op: Option<Op>,
}

impl Record {
    fn returned(self) -> Result<Returned, String> {
        match (self.op, self.new_value) {
            (None, _) => Err("it lacks op".to_owned()),
            (Some(Op::Remove), _) | (Some(Op::Replace), None) => Ok(Returned::Remove),
            (Some(Op::Replace), Some(value)) => {
                let value = RecordValue::parse(value).map_err(|error| error.to_string())?;
                Ok(Returned::Replace(value))
            }
        }
    }
}

/// The members of `datasetRecords` in the order of the document.
struct Records(Vec<(String, Object<Record>)>);

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Records;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of records")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Records, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    if members.len() == RECORDS_MAX {
                        let error = format!("more than {RECORDS_MAX} records");
                        return Err(A::Error::custom(error));
                    }
                    members.push(member);
                }
                Ok(Records(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event<'static> {
        let shown = Shown {
            old_value: None,
            new_value: Some("1"),
            op: Op::Replace,
        };
        Event {
            version: 2,
            event_type: "SyncTrigger",
            region: "us-east-1",
            identity_pool_id: "r:1",
            identity_id: "r:2",
            dataset_name: "game",
            dataset_records: BTreeMap::from([("a", shown)]),
        }
    }

    #[test]
    fn an_event_has_the_form_of_the_guide() {
        let bytes = event().to_bytes().unwrap();
        let expected = concat!(
            r#"{"version":2,"eventType":"SyncTrigger","region":"us-east-1","#,
            r#""identityPoolId":"r:1","identityId":"r:2","datasetName":"game","#,
            r#""datasetRecords":{"a":{"oldValue":null,"newValue":"1","op":"replace"}}}"#
        );
        assert_eq!(bytes, expected);
    }

    #[test]
    fn an_answer_may_change_records_and_nothing_else() {
        let event = event();
        let whole: Value = serde_json::from_slice(&event.to_bytes().unwrap()).unwrap();
        let read = |answer: &Value| Reply::read(answer.to_string().as_bytes(), &event.fixed());
        assert_eq!(read(&whole).unwrap().records.len(), 1);
        for name in [
            "version",
            "eventType",
            "region",
            "identityPoolId",
            "identityId",
            "datasetName",
        ] {
            let mut changed = whole.clone();
            changed[name] = json!("other");
            assert_eq!(read(&changed).unwrap_err(), format!("it changed {name}"));
            changed.as_object_mut().unwrap().remove(name);
            assert_eq!(read(&changed).unwrap_err(), format!("it lacks {name}"));
        }
        let mut none = whole.clone();
        none.as_object_mut().unwrap().remove("datasetRecords");
        assert_eq!(read(&none).unwrap_err(), "it lacks datasetRecords");
    }

    #[test]
    fn a_record_has_a_value_or_is_removed() {
        let event = event();
        let read = |records: &str| {
            let mut whole: Value = serde_json::from_slice(&event.to_bytes().unwrap()).unwrap();
            whole["datasetRecords"] = json!("HERE");
            let answer = whole.to_string().replace("\"HERE\"", records);
            Reply::read(answer.as_bytes(), &event.fixed())
        };
        let returned = |record: &str| {
            let reply = read(&format!("{{\"a\":{record}}}"));
            reply.map(|reply| reply.records.into_values().next().unwrap())
        };
        let one = Returned::Replace(RecordValue::parse("1").unwrap());
        for (record, expected) in [
            (r#"{"newValue":"1","op":"replace"}"#, one),
            (r#"{"newValue":null,"op":"replace"}"#, Returned::Remove),
            (r#"{"op":"replace","x":1}"#, Returned::Remove),
            (r#"{"newValue":"1","op":"remove"}"#, Returned::Remove),
        ] {
            assert_eq!(returned(record).unwrap(), expected, "{record}");
        }
        for (records, why) in [
            (
                r#"{"a":{"newValue":1,"op":"replace"}}"#,
                "expected a string",
            ),
            (r#"{"a":{"newValue":"1"}}"#, r#""a": it lacks op"#),
            (r#"{"a":{"newValue":"1","op":"add"}}"#, "unknown variant"),
            (r#"{"a":null}"#, "expected an object"),
            (r#"[]"#, "expected an object of records"),
            (r#"{"":{"op":"remove"}}"#, "key"),
            (
                r#"{"a":{"op":"remove"},"a":{"op":"remove"}}"#,
                r#"it has "a" twice"#,
            ),
        ] {
            let error = read(records).unwrap_err();
            assert!(error.contains(why), "{records}: {error}");
        }
        let long = format!(r#"{{"newValue":"{}","op":"replace"}}"#, "v".repeat(1 << 20));
        assert!(returned(&long).unwrap_err().starts_with("\"a\": "));
    }
}
