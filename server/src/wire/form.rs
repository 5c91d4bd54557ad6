//! The forms that bodies of Kinesis have: JSON, and the CBOR that some SDKs use unless they are
//! told not to. It is the same tree; bytes are bytes there, and a time is tagged as one, in whole
//! milliseconds, as those SDKs have it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::json::{self, Object};
use crate::error::ApiError;

/// What media types of CBOR begin with.
const CBOR: &[u8] = b"application/x-amz-cbor";
/// Deepest nesting of a body, as of JSON.
const DEPTH_MAX: usize = 64;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    #[default]
    Json,
    /// CBOR.
    Cbor,
}

impl Form {
    /// The form of a request by what it says of its body. An answer has the same.
    #[must_use]
    pub fn of(media_type: Option<&[u8]>) -> Self {
        let start = media_type.and_then(|media_type| media_type.get(..CBOR.len()));
        match start.is_some_and(|start| start.eq_ignore_ascii_case(CBOR)) {
            true => Self::Cbor,
            false => Self::Json,
        }
    }

    /// What an answer says of its body.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }

    /// Reads a request body. No body at all is the empty object.
    ///
    /// # Errors
    /// `SerializationException` with the reason.
    pub fn read<T: DeserializeOwned + Default>(self, body: &[u8]) -> Result<T, ApiError> {
        if self == Self::Json {
            return json::read(body);
        }
        if body.is_empty() {
            return Ok(T::default());
        }
        let invalid = |why: String| {
            ApiError::serialization(format!("The request body is invalid CBOR: {why}"))
        };
        let mut rest = body;
        let read = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH_MAX);
        let Object(read) = read.map_err(|error| invalid(error.to_string()))?;
        match rest {
            [] => Ok(read),
            _ => Err(invalid("something stands behind its end".to_owned())),
        }
    }

    /// Lays out an answer.
    ///
    /// # Errors
    /// If it cannot be laid out, which is a bug.
    pub fn write<T: Serialize>(self, output: &T) -> Result<Vec<u8>, ApiError> {
        let fault = "laying out an answer";
        if self == Self::Json {
            return serde_json::to_vec(output).map_err(|error| ApiError::fault(fault, &error));
        }
        let mut bytes = Vec::new();
        let written = ciborium::into_writer(output, &mut bytes);
        written.map_err(|error| ApiError::fault(fault, &error))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::EpochSeconds;
    use crate::wire::kinesis::{Blob, GetShardIteratorInput, ListShardsInput, Record};

    /// Laid out by hand after RFC 8949, as the SDK for Java writes it.
    #[test]
    fn requests_are_read_as_sdks_write_them() {
        let body = [
            &b"\xbf\x6aStreamName\x67changes"[..], // a map without a length
            b"\x71ShardIteratorType\x6cAT_TIMESTAMP",
            b"\x69Timestamp\xc1\x1b\x00\x00\x01\x8b\xcf\xe5\x68\x00\xff", // tag 1, milliseconds
        ]
        .concat();
        let input: GetShardIteratorInput = Form::Cbor.read(&body).unwrap();
        assert_eq!(input.stream_name.as_deref(), Some("changes"));
        assert_eq!(input.shard_iterator_type.as_deref(), Some("AT_TIMESTAMP"));
        assert_eq!(input.timestamp.map(|time| time.ms), Some(1_700_000_000_000));
        let body =
            b"\xa3\x6aMaxResults\x05\x65Other\x42\x00\xff\x6bShardFilter\xa1\x64Type\x66LATEST";
        let input: ListShardsInput = Form::Cbor.read(body).unwrap();
        assert_eq!(input.max_results, Some(5));
        assert!(input.shard_filter.is_some());
        for empty in [&b""[..], b"\xa0", b"\xbf\xff", b"\xa1\x6aStreamName\xf6"] {
            let input: GetShardIteratorInput = Form::Cbor.read(empty).unwrap();
            assert_eq!(input.stream_name, None);
        }
    }

    #[test]
    fn answers_have_bytes_and_times() {
        let record = Record {
            sequence_number: "7".to_owned(),
            approximate_arrival_timestamp: EpochSeconds::from_ms(1_700_000_000_001),
            data: Blob(vec![0, 255]),
            partition_key: "p".to_owned(),
        };
        let expected = [
            &b"\xa4\x6eSequenceNumber\x617\x78\x1bApproximateArrivalTimestamp"[..],
            b"\xc1\x1b\x00\x00\x01\x8b\xcf\xe5\x68\x01\x64Data\x42\x00\xff\x6cPartitionKey\x61p",
        ]
        .concat();
        assert_eq!(Form::Cbor.write(&record).unwrap(), expected);
        let json = Form::Json.write(&record).unwrap();
        let expected = "{\"SequenceNumber\":\"7\",\"ApproximateArrivalTimestamp\":1700000000.001,\
                        \"Data\":\"AP8=\",\"PartitionKey\":\"p\"}";
        assert_eq!(String::from_utf8(json).unwrap(), expected);
    }

    #[test]
    fn what_is_no_body_is_refused() {
        let deep = [&b"\xa1\x65Other"[..], &[0x81; 200], b"\x00"].concat();
        let huge = b"\xa1\x6aStreamName\x7b\xff\xff\xff\xff\xff\xff\xff\xff";
        for body in [
            &b"{}"[..],
            b"\x80",
            b"\xf6",
            b"\xa1\x6aStreamName\x05",
            b"\xa1\x69Timestamp\x20",
            b"\xa0\xa0",
            b"\xa1",
            &deep,
            huge,
        ] {
            let error = Form::Cbor.read::<GetShardIteratorInput>(body).unwrap_err();
            assert_eq!(error.kind.name(), "SerializationException", "{body:?}");
        }
    }

    #[test]
    fn the_form_is_what_the_request_says() {
        for (media_type, form) in [
            (None, Form::Json),
            (Some(&b"application/x-amz-json-1.1"[..]), Form::Json),
            (Some(b"Application/X-amz-cbor-1.1"), Form::Cbor),
            (Some(b"application"), Form::Json),
        ] {
            assert_eq!(Form::of(media_type), form);
        }
    }
}
