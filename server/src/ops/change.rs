//! Changing one stored record that others may change at the same moment: read, decide, write on
//! the version that was read, and again if that was lost.

use bincode::{Decode, Encode};
use syncline_engine::{Error, Expected, MetadataKey, Proposal, Refusal, Wish};

use crate::error::ApiError;
use crate::site::{Site, stored};

/// Times that a change is tried. Each lost race is another's success, so a few suffice unless
/// someone hammers one record.
const TRIES: usize = 8;

/// A change of one record.
pub(super) struct Change<'a> {
    pub(super) site: &'a Site,
    pub(super) key: MetadataKey,
    /// What must be there for the change to make sense.
    pub(super) expect: Vec<(MetadataKey, Expected)>,
}

/// Why nothing was changed.
#[derive(Debug)]
pub(super) enum Unchanged {
    /// Others were faster each time.
    Raced,
    /// The first thing that is not as expected.
    Gone(MetadataKey),
    /// Any other answer.
    Error(ApiError),
}

impl From<ApiError> for Unchanged {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

impl Change<'_> {
    /// Lets `decide` turn the present record into the new one, `None` for no record, and into an
    /// answer. Writes only what differs.
    pub(super) async fn make<R, T>(
        &self,
        decide: impl Fn(Option<&R>) -> Result<(Option<R>, T), ApiError>,
    ) -> Result<T, Unchanged>
    where
        R: Encode + Decode<()> + PartialEq,
    {
        self.make_with(decide, |_, _| Ok(Vec::new())).await
    }

    /// Like [`Change::make`]; what `beside` wishes for, given the record before and after, is
    /// committed with the change.
    pub(super) async fn make_with<R, T>(
        &self,
        decide: impl Fn(Option<&R>) -> Result<(Option<R>, T), ApiError>,
        beside: impl Fn(Option<&R>, Option<&R>) -> Result<Vec<Wish>, ApiError>,
    ) -> Result<T, Unchanged>
    where
        R: Encode + Decode<()> + PartialEq,
    {
        for _ in 0..TRIES {
            let found = self.site.load::<R>(self.key.clone()).await?;
            let (old, expected) = match found {
                Some((record, version)) => (Some(record), Expected::Version(version)),
                None => (None, Expected::Nothing),
            };
            let (new, answer) = decide(old.as_ref())?;
            if new == old {
                return Ok(answer);
            }
            let wishes = beside(old.as_ref(), new.as_ref())?;
            match self.write(new.as_ref(), expected, wishes).await {
                Err(Unchanged::Raced) => {}
                Err(unchanged) => return Err(unchanged),
                Ok(()) => return Ok(answer),
            }
        }
        Err(Unchanged::Raced)
    }

    /// One try, on what was read; `beside` goes with it.
    pub(super) async fn write<R: Encode>(
        &self,
        record: Option<&R>,
        expected: Expected,
        beside: Vec<Wish>,
    ) -> Result<(), Unchanged> {
        let key = self.key.clone();
        let wish = match record {
            None => Wish::DeleteMetadata { key, expected },
            Some(record) => Wish::PutMetadata {
                key,
                value: stored::encode(record)
                    .ok_or_else(|| ApiError::bug("a record that was checked is too large"))?,
                expected,
            },
        };
        let proposal = Proposal {
            expect: self.expect.clone(),
            wishes: std::iter::once(wish).chain(beside).collect(),
            ..Proposal::default()
        };
        match self.site.store.commit(proposal).await {
            Ok(_) => Ok(()),
            Err(Error::Refusal(Refusal::Unexpected { key, .. })) if key == self.key => {
                Err(Unchanged::Raced)
            }
            Err(Error::Refusal(Refusal::Unexpected { key, .. })) => Err(Unchanged::Gone(key)),
            Err(error) => Err(Unchanged::Error(error.into())),
        }
    }
}
