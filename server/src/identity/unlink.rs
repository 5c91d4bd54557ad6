//! UnlinkIdentity: a user takes logins away from its identity.

use syncline_engine::{Error, Expected, Proposal, Wish};

use super::birth::put;
use super::logins::{self, no_match};
use super::owner::{self, Owner, is_stale};
use super::{TRIES, find, required_id};
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{self, Id, Login};
use crate::wire::{Violations, linking as wire, roles::Empty};

/// Most providers of one call.
const PROVIDERS_MAX: usize = 60;

/// Takes all logins of some providers away. The caller proves one login of the identity. Whoever
/// comes with such a login later is new; without a login nobody can act as the identity.
pub(super) async fn unlink_identity(
    site: &Site,
    input: wire::UnlinkIdentityInput,
) -> Result<Empty, ApiError> {
    let mut violations = Violations::new();
    required_id(&mut violations, "identityId", input.identity_id.as_ref());
    violations.required("logins", input.logins.as_ref());
    logins::check(&mut violations, input.logins.as_ref());
    let providers = input.logins_to_remove.as_ref();
    violations.required("loginsToRemove", providers);
    let providers = providers.map_or(&[][..], Vec::as_slice);
    super::pools::at_most(
        &mut violations,
        "loginsToRemove",
        providers.len(),
        PROVIDERS_MAX,
    );
    for provider in providers {
        violations.length("loginsToRemove", provider, 1, 128);
    }
    violations.finish()?;
    let identity_id = input.identity_id.unwrap_or_default();
    for _ in 0..TRIES {
        let tokens = logins::verify(site, input.logins.as_ref()).await?;
        let found = find(site, &identity_id).await?.ok_or_else(no_match)?;
        let tokens = tokens.ok_or_else(no_match)?;
        let proved = tokens.prove(site, &found.pool, &found.pool_record).await;
        let proved = proved.map_err(logins::hide)?;
        let owner = owner::load(site, &found.pool, found.identity).await?;
        let owner = owner.ok_or_else(no_match)?;
        let owns = |login| owner.record.logins.contains(login);
        if !proved.iter().any(|proved| owns(&proved.login)) {
            return Err(no_match());
        }
        let named = |login: &Login| providers.contains(&login.provider);
        match take_away(site, &found.pool, owner, named).await {
            Ok(()) => return Ok(Empty {}),
            Err(error) if is_stale(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(owner::busy())
}

/// Takes logins away from an identity; nothing happens if it has none such.
pub(super) async fn take_away(
    site: &Site,
    pool: &Id,
    owner: Owner,
    is_named: impl Fn(&Login) -> bool,
) -> Result<(), Error> {
    let mut record = owner.record;
    let gone: Vec<_> = record
        .logins
        .extract_if(.., |login| is_named(login))
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    record.orphaned = record.logins.is_empty();
    record.modified_ms = site.now().get();
    let key = stored::identity_key(pool.uuid, owner.identity.uuid);
    let mut wishes = vec![put(key, &record, Expected::Version(owner.version))];
    wishes.extend(gone.iter().map(|login| Wish::DeleteMetadata {
        key: stored::login_key(pool.uuid, login),
        expected: Expected::Something,
    }));
    let proposal = Proposal {
        expect: vec![(stored::pool_key(pool), Expected::Something)],
        wishes,
        ..Proposal::default()
    };
    site.store.commit(proposal).await.map(|_| ())
}
