//! Page tokens: where the next page of a listing begins, sealed for that listing.
//!
//! A token works alone: it needs neither the session token nor the count of the first page.

use syncline_engine::{RecordKey, SyncCount};

use crate::error::ApiError;
use crate::seal::{Keys, Purpose};
use crate::session::Session;

/// Three counts and a session.
const HEAD_BYTES: usize = 24 + 3 * 8;

/// Where a listing of records goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPage {
    /// The session that the first page opened.
    pub session: Session,
    /// The count since which is listed.
    pub since: SyncCount,
    /// The count up to which is listed.
    pub snapshot: SyncCount,
    /// The last record of the page before.
    pub after: (SyncCount, RecordKey),
}

impl RecordPage {
    /// The token for this place of a listing.
    pub fn token(&self, keys: &Keys, listing: &[&str]) -> String {
        let (count, key) = &self.after;
        let mut body = self.session.to_bytes().to_vec();
        for number in [self.since, self.snapshot, *count] {
            body.extend_from_slice(&number.get().to_le_bytes());
        }
        body.extend_from_slice(key.as_str().as_bytes());
        seal(keys, listing, &body)
    }

    /// The place that a token names.
    ///
    /// # Errors
    /// `InvalidParameterException` unless the token was given out for this listing.
    pub fn read(keys: &Keys, listing: &[&str], token: &str) -> Result<Self, ApiError> {
        Self::from_bytes(&open(keys, listing, token)?).ok_or_else(not_valid)
    }

    fn from_bytes(body: &[u8]) -> Option<Self> {
        let (head, key) = body.split_at_checked(HEAD_BYTES)?;
        let number = |place: usize| {
            let bytes = head.get(24 + 8 * place..32 + 8 * place)?;
            SyncCount::new(u64::from_le_bytes(bytes.try_into().ok()?)).ok()
        };
        Some(Self {
            session: Session::from_bytes(&head[..24])?,
            since: number(0)?,
            snapshot: number(1)?,
            after: (
                number(2)?,
                RecordKey::parse(std::str::from_utf8(key).ok()?).ok()?,
            ),
        })
    }
}

/// Seals the last thing of a page.
pub fn seal(keys: &Keys, listing: &[&str], last: &[u8]) -> String {
    keys.seal(Purpose::Page, listing, last)
}

/// Opens what [`seal`] made for the same listing.
///
/// # Errors
/// `InvalidParameterException` for anything else.
pub fn open(keys: &Keys, listing: &[&str], token: &str) -> Result<Vec<u8>, ApiError> {
    keys.open(Purpose::Page, listing, token)
        .map(|opened| opened.body)
        .ok_or_else(not_valid)
}

/// The answer to a token that does not fit.
pub fn not_valid() -> ApiError {
    ApiError::invalid_parameter("NextToken not valid for these inputs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::tests::keys;

    #[test]
    fn a_place_survives_its_token() {
        let keys = keys();
        let key = RecordKey::parse(&"\u{1f600}".repeat(1024)).unwrap();
        let count = |number| SyncCount::new(number).unwrap();
        let page = RecordPage {
            session: Session::begin(5),
            since: count(1),
            snapshot: count(9),
            after: (count(7), key),
        };
        let listing = ["ListRecords", "pool", "identity", "dataset"];
        let token = page.token(&keys, &listing);
        assert!(token.len() < 5700, "{}", token.len());
        assert_eq!(RecordPage::read(&keys, &listing, &token), Ok(page));
        let other = ["ListRecords", "pool", "identity", "other"];
        assert_eq!(RecordPage::read(&keys, &other, &token), Err(not_valid()));
        assert_eq!(RecordPage::read(&keys, &listing, "x"), Err(not_valid()));
        let short = seal(&keys, &listing, b"short");
        assert_eq!(RecordPage::read(&keys, &listing, &short), Err(not_valid()));
    }
}
