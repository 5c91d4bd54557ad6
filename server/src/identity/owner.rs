//! Whose the proved logins are: finds, makes, links and merges until one identity owns all of them.
//!
//! Each step is one proposal that expects what it was decided on, so that two calls at once come to
//! one identity. Knowing an identity's id is never enough to take it over: only a guest may be
//! given a login by whoever names it.

use syncline_engine::{Error, Expected, Proposal, Refusal, Sequence};
use uuid::Uuid;

use super::birth::{self, put};
use super::logins::{self, Proved};
use super::{merge, no_identity};
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{self, Id, IdentityRecord, Login, LoginRecord};

/// Steps after which the call gives up: a call has at most ten logins, each a merge or a link, and
/// some steps are decided on what was just changed.
const STEPS: usize = 32;
/// Most logins of an identity.
const LOGINS_MAX: usize = 20;
/// Most bytes of their names: all of them fit one metadata value.
const LOGIN_BYTES_MAX: usize = 48 << 10;

/// An identity that exists, at a version.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) identity: Id,
    pub(super) record: IdentityRecord,
    pub(super) version: Sequence,
}

/// Which identity a call names.
#[derive(Debug, Clone)]
pub(super) enum Named {
    /// None: one is made if nobody owns a login.
    Nobody,
    /// One that the caller may act as only if the logins prove it, or it is a guest. If it is gone,
    /// the owner of the logins is meant.
    Claimed(Id),
    /// One for which the developer vouches.
    Vouched(Id),
}

/// The pool, and what its developer's provider is called, whose users an identity may have many of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) pool: &'a Id,
    pub(super) developer: Option<&'a str>,
}

/// What is stored about the logins and the identity of a call.
#[derive(Debug, Default)]
struct Scene {
    named: Option<Owner>,
    /// Owners of logins other than the one named, with one of the logins each.
    others: Vec<(Owner, Login)>,
    /// Whether the one named owns a login.
    proved: bool,
    /// Logins that nobody owns.
    free: Vec<Login>,
}

/// What is to be done next.
#[derive(Debug)]
enum Step {
    Done(Owner),
    Bear(Vec<Login>),
    Link(Owner, Vec<Login>),
    Merge { winner: Owner, loser: Owner },
}

/// Brings all logins to one identity.
///
/// # Errors
/// `NotAuthorizedException` if the logins do not prove what they must, `ResourceConflictException`
/// for two users of one public provider, `LimitExceededException` for too many logins.
pub(super) async fn settle(
    site: &Site,
    ground: Ground<'_>,
    proved: &[Proved],
    mut named: Named,
) -> Result<Owner, ApiError> {
    for _ in 0..STEPS {
        let Some(scene) = look(site, ground.pool, proved, &named).await? else {
            continue;
        };
        let tried = match decide(scene, &named, ground)? {
            Step::Done(owner) => return Ok(owner),
            Step::Bear(logins) => {
                check_number(&logins)?;
                let place = birth::reserve(site, ground.pool)?;
                let now_ms = site.now().get();
                let born = birth::bear(&site.store, place, ground.pool, logins, now_ms).await;
                born.map(|_| ())
            }
            Step::Link(owner, logins) => link(site, ground, owner, logins).await?,
            Step::Merge { winner, loser } => {
                let winner_id = winner.identity.clone();
                let merged = merge::merge(site, ground, winner, loser).await?;
                if merged.is_ok() {
                    named = match named {
                        Named::Nobody => Named::Nobody,
                        Named::Claimed(_) => Named::Claimed(winner_id),
                        Named::Vouched(_) => Named::Vouched(winner_id),
                    };
                }
                merged
            }
        };
        match tried {
            Err(error) if !is_stale(&error) => return Err(error.into()),
            _ => {}
        }
    }
    Err(busy())
}

/// Whether a proposal was decided on what changed meanwhile.
pub(super) fn is_stale(error: &Error) -> bool {
    matches!(error, Error::Refusal(Refusal::Unexpected { .. }))
}

/// The answer when others were always quicker.
pub(super) fn busy() -> ApiError {
    ApiError::too_many_requests("Another request changes the same user; try again.")
}

/// Reads what is stored; `None` if it changed while it was read.
async fn look(
    site: &Site,
    pool: &Id,
    proved: &[Proved],
    named: &Named,
) -> Result<Option<Scene>, ApiError> {
    let named = match named {
        Named::Nobody => None,
        Named::Claimed(identity) | Named::Vouched(identity) => Some(identity),
    };
    let mut scene = Scene::default();
    if let Some(identity) = named {
        scene.named = load(site, pool, identity.clone()).await?;
    }
    for Proved { login, may_link } in proved {
        let Some(uuid) = owner_of(site, pool, login).await? else {
            if *may_link {
                scene.free.push(login.clone());
            }
            continue;
        };
        let is = |owner: &Owner| owner.identity.uuid == uuid;
        if scene.named.as_ref().is_some_and(is) {
            scene.proved = true;
        } else if !scene.others.iter().any(|(owner, _)| is(owner)) {
            let identity = Id {
                region: pool.region.clone(),
                uuid,
            };
            let Some(owner) = load(site, pool, identity).await? else {
                return Ok(None);
            };
            scene.others.push((owner, login.clone()));
        }
    }
    Ok(Some(scene))
}

/// The uuid of the identity that owns a login.
pub(super) async fn owner_of(
    site: &Site,
    pool: &Id,
    login: &Login,
) -> Result<Option<Uuid>, ApiError> {
    let found: Option<(LoginRecord, _)> = site.load(stored::login_key(pool.uuid, login)).await?;
    Ok(found.map(|(record, _)| Uuid::from_bytes(record.identity)))
}

/// An identity of a pool, if it exists.
pub(super) async fn load(site: &Site, pool: &Id, identity: Id) -> Result<Option<Owner>, ApiError> {
    if identity.region != pool.region {
        return Ok(None);
    }
    let key = stored::identity_key(pool.uuid, identity.uuid);
    let found: Option<(IdentityRecord, Sequence)> = site.load(key).await?;
    Ok(found.map(|(record, version)| Owner {
        identity,
        record,
        version,
    }))
}

fn decide(mut scene: Scene, named: &Named, ground: Ground<'_>) -> Result<Step, ApiError> {
    scene.others.sort_by_key(|(owner, _)| age(owner));
    let guest = |owner: &Owner| owner.record.is_guest();
    let vouched = match (named, &scene.named) {
        (Named::Vouched(identity), None) => return Err(no_identity(&identity.to_string())),
        (Named::Vouched(_), Some(_)) => {
            // A user of the developer's stays where it is until the developer says otherwise.
            let user = |login: &Login| Some(login.provider.as_str()) == ground.developer;
            if let Some((_, login)) = scene.others.iter().find(|(_, login)| user(login)) {
                return Err(already_registered(login));
            }
            true
        }
        _ => false,
    };
    let mut others = scene.others.into_iter().map(|(owner, _)| owner);
    let Some(named) = scene.named else {
        return match (others.next(), others.next()) {
            (Some(winner), Some(loser)) => Ok(Step::Merge { winner, loser }),
            (Some(owner), None) if scene.free.is_empty() => Ok(Step::Done(owner)),
            (Some(owner), None) => Ok(Step::Link(owner, scene.free)),
            (None, _) if matches!(named, Named::Nobody) && !scene.free.is_empty() => {
                Ok(Step::Bear(scene.free))
            }
            (None, _) => Err(logins::no_match()),
        };
    };
    let nothing = !scene.proved && others.len() == 0 && scene.free.is_empty();
    if !vouched && (nothing || !(scene.proved || guest(&named))) {
        return Err(logins::no_match());
    }
    match (others.next(), others.next()) {
        // Of several owners one is left before a guest is given to it.
        (Some(winner), Some(loser)) if guest(&named) => Ok(Step::Merge { winner, loser }),
        (Some(winner), None) if guest(&named) => Ok(Step::Merge {
            winner,
            loser: named,
        }),
        (Some(other), _) if age(&named) <= age(&other) => Ok(Step::Merge {
            winner: named,
            loser: other,
        }),
        (Some(other), _) => Ok(Step::Merge {
            winner: other,
            loser: named,
        }),
        (None, _) if scene.free.is_empty() => Ok(Step::Done(named)),
        (None, _) => Ok(Step::Link(named, scene.free)),
    }
}

/// The older one wins; of two that came in the same millisecond, always the same.
fn age(owner: &Owner) -> (u64, Uuid) {
    (owner.record.created_ms, owner.identity.uuid)
}

/// Makes users logins of an identity that exists.
async fn link(
    site: &Site,
    ground: Ground<'_>,
    owner: Owner,
    logins: Vec<Login>,
) -> Result<Result<(), Error>, ApiError> {
    let Owner {
        identity,
        mut record,
        version,
    } = owner;
    let login_record = LoginRecord {
        identity: *identity.uuid.as_bytes(),
    };
    let claim = |login: &Login| {
        let key = stored::login_key(ground.pool.uuid, login);
        put(key, &login_record, Expected::Nothing)
    };
    let mut wishes: Vec<_> = logins.iter().map(claim).collect();
    record.logins.extend(logins);
    record.orphaned = false;
    record.modified_ms = site.now().get();
    check(&record.logins, ground)?;
    let key = stored::identity_key(ground.pool.uuid, identity.uuid);
    wishes.push(put(key, &record, Expected::Version(version)));
    let proposal = Proposal {
        expect: vec![(stored::pool_key(ground.pool), Expected::Something)],
        wishes,
        ..Proposal::default()
    };
    Ok(site.store.commit(proposal).await.map(|_| ()))
}

/// Whether one identity may have all these logins: of each public provider it has one user at most.
pub(super) fn check(logins: &[Login], ground: Ground<'_>) -> Result<(), ApiError> {
    check_number(logins)?;
    for (place, login) in logins.iter().enumerate() {
        let again = |other: &Login| other.provider == login.provider;
        if Some(login.provider.as_str()) != ground.developer && logins[..place].iter().any(again) {
            return Err(ApiError::conflict(format!(
                "The identity would have two logins of the provider '{}'.",
                login.provider
            )));
        }
    }
    Ok(())
}

fn check_number(logins: &[Login]) -> Result<(), ApiError> {
    let bytes: usize = logins
        .iter()
        .map(|login| login.provider.len() + login.user.len())
        .sum();
    if logins.len() > LOGINS_MAX || bytes > LOGIN_BYTES_MAX {
        return Err(ApiError::limit_exceeded(format!(
            "the logins of the identity would pass the limit of {LOGINS_MAX}, or of \
             {LOGIN_BYTES_MAX} bytes"
        )));
    }
    Ok(())
}

fn already_registered(login: &Login) -> ApiError {
    ApiError::developer_user_already_registered(format!(
        "Developer user identifier '{}' is already registered with another identity.",
        login.user
    ))
}
