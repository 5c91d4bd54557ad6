//! GetIdentityPoolConfiguration and SetIdentityPoolConfiguration: push and streams of a pool, kept
//! as they were written.

use syncline_engine::{Expected, Wish};

use super::change::{Change, Unchanged};
use super::{Target, no_pool};
use crate::error::{ApiError, Chain};
use crate::site::Site;
use crate::site::stored::{self, ConfigurationRecord, Platform, Push};
use crate::site::stored::{StreamRecord, StreamingStatus, Streams};
use crate::wire::arn;
use crate::wire::{Object, Violations, json, settings as wire};

/// Most applications of a pool, and the longest name of one. The model bounds neither; one for each
/// platform is usual.
const APPLICATIONS_MAX: usize = 64;
const APPLICATION_CHARS_MAX: usize = 512;
const ROLE_CHARS_MIN: usize = 20;
const ROLE_CHARS_MAX: usize = 2048;
const STREAM_NAME_CHARS_MAX: usize = 128;
/// Longest reason that the server gives for stopping a stream, in bytes.
const REASON_BYTES_MAX: usize = 1024;

const _: () = {
    // Names of applications are ASCII, the rest may take four bytes a character; a length takes
    // eight bytes, and there are a handful of other fields.
    let applications = APPLICATIONS_MAX * (APPLICATION_CHARS_MAX + 8);
    let others = 2 * 4 * ROLE_CHARS_MAX + 4 * STREAM_NAME_CHARS_MAX + REASON_BYTES_MAX + 256;
    assert!(applications + others < syncline_engine::limits::METADATA_VALUE_BYTES_MAX);
};

/// Tells the configuration of a pool.
pub(super) async fn get(
    site: &Site,
    target: &Target,
) -> Result<wire::IdentityPoolConfigurationOutput, ApiError> {
    let record = load(site, target).await?;
    shape(target, &record)
}

/// Sets what comes and leaves the rest; an empty part is cleared.
pub(super) async fn set(
    site: &Site,
    target: &Target,
    body: &[u8],
) -> Result<wire::IdentityPoolConfigurationOutput, ApiError> {
    let input: wire::SetIdentityPoolConfigurationInput = json::read(body)?;
    check(&input)?;
    let (pool, id) = target.pool()?;
    check_stream(site, pool.as_str(), &input)?;
    let change = Change {
        site,
        key: stored::configuration_key(id.uuid),
        expect: vec![(stored::pool_key(id), Expected::Something)],
    };
    let decide = |old: Option<&ConfigurationRecord>| {
        let record = changed(old.cloned().unwrap_or_default(), &input);
        let stored = (record != ConfigurationRecord::default()).then(|| record.clone());
        Ok((stored, record))
    };
    let changed = change.make_with(decide, |old, new| Ok(beginning(site, id, old, new)));
    let record = changed.await.map_err(|unchanged| match unchanged {
        Unchanged::Raced => {
            ApiError::concurrent_modification("The configuration was changed by another request")
        }
        Unchanged::Gone(_) => no_pool(pool.as_str()),
        Unchanged::Error(error) => error,
    })?;
    if let Err(error) = site.find_streams().await {
        // It is set; the search is done again within a second.
        tracing::warn!("looking for streams: {}", Chain(&error));
    }
    site.outflow.touch();
    shape(target, &record)
}

/// What notes where a stream begins if it is being enabled: at the present.
fn beginning(
    site: &Site,
    pool: &stored::Id,
    old: Option<&ConfigurationRecord>,
    new: Option<&ConfigurationRecord>,
) -> Vec<Wish> {
    let streams = |record: Option<&ConfigurationRecord>| {
        record.is_some_and(|record| record.streaming().is_some())
    };
    if streams(old) || !streams(new) {
        return Vec::new();
    }
    let head = site.store.engine().head();
    let record = StreamRecord {
        store: *head.store.as_bytes(),
        since: head.sequence.get(),
        enabled_ms: site.now().get(),
    };
    vec![Wish::PutMetadata {
        key: stored::stream_key(pool.uuid),
        value: stored::encode(&record).expect("three numbers are not too large for a value"),
        expected: Expected::Anything,
    }]
}

/// The configuration of a pool; one that was never set is empty.
pub(super) async fn load(site: &Site, target: &Target) -> Result<ConfigurationRecord, ApiError> {
    let key = stored::configuration_key(target.pool()?.1.uuid);
    let found = site.load::<ConfigurationRecord>(key).await?;
    Ok(found.map(|(record, _)| record).unwrap_or_default())
}

/// Insists that the pool has an application that delivers to a platform.
///
/// # Errors
/// `InvalidConfigurationException` that says what to set.
pub(super) async fn require_application(
    site: &Site,
    target: &Target,
    platform: Platform,
) -> Result<(), ApiError> {
    let record = load(site, target).await?;
    let applications = record.push.unwrap_or_default().applications;
    let name = platform.name();
    if applications
        .iter()
        .any(|application| arn::platform(application) == Some(name))
    {
        return Ok(());
    }
    Err(ApiError::invalid_configuration(format!(
        "Push synchronization for {name} is not configured: PushSync.ApplicationArns of the \
         identity pool must list an application of the form \
         arn:aws:sns:<region>:<account>:app/{name}/<name> (SetIdentityPoolConfiguration)"
    )))
}

fn check(input: &wire::SetIdentityPoolConfigurationInput) -> Result<(), ApiError> {
    let mut violations = Violations::new();
    let v = &mut violations;
    if let Some(Object(push)) = &input.push_sync {
        let applications = push.application_arns.as_deref().unwrap_or_default();
        if applications.len() > APPLICATIONS_MAX {
            let rule = format!("Member must have length less than or equal to {APPLICATIONS_MAX}");
            v.add("pushSync.applicationArns", Some("[...]"), &rule);
        }
        for (place, application) in applications.iter().enumerate() {
            let at = format!("pushSync.applicationArns.{}.member", place + 1);
            v.text(&at, application, APPLICATION_CHARS_MAX, &arn::APPLICATION);
        }
        check_role(v, "pushSync.roleArn", push.role_arn.as_deref());
    }
    if let Some(Object(streams)) = &input.cognito_streams {
        if let Some(name) = &streams.stream_name {
            v.length("cognitoStreams.streamName", name, 1, STREAM_NAME_CHARS_MAX);
        }
        check_role(v, "cognitoStreams.roleArn", streams.role_arn.as_deref());
        if let Some(status) = &streams.streaming_status {
            let at = "cognitoStreams.streamingStatus";
            v.one_of(at, status, &StreamingStatus::NAMES);
        }
    }
    violations.finish()
}

/// Insists that a stream of the server's configuration takes the pool, unless it is only to end.
fn check_stream(
    site: &Site,
    pool: &str,
    input: &wire::SetIdentityPoolConfigurationInput,
) -> Result<(), ApiError> {
    let Some(Object(streams)) = &input.cognito_streams else {
        return Ok(());
    };
    let name = streams.stream_name.as_deref().unwrap_or_default();
    let ends = streams.streaming_status.as_deref() == Some(StreamingStatus::Disabled.name());
    match site.config.streams.get(name) {
        Some(stream) if !ends && !stream.takes(pool) => Err(ApiError::invalid_parameter(format!(
            "The stream {name} does not take this identity pool: pools of [streams.{name}] in \
                 the server's configuration must name {pool}, or CognitoStreams.StreamName another \
                 stream"
        ))),
        _ => Ok(()),
    }
}

fn check_role(violations: &mut Violations, at: &str, role: Option<&str>) {
    if let Some(role) = role {
        violations.length(at, role, ROLE_CHARS_MIN, ROLE_CHARS_MAX);
        violations.pattern(at, role, &arn::ROLE);
    }
}

fn changed(
    mut record: ConfigurationRecord,
    input: &wire::SetIdentityPoolConfigurationInput,
) -> ConfigurationRecord {
    if let Some(Object(push)) = &input.push_sync {
        let push = Push {
            applications: push.application_arns.clone().unwrap_or_default(),
            role: push.role_arn.clone(),
        };
        record.push = (push != Push::default()).then_some(push);
    }
    if let Some(Object(streams)) = &input.cognito_streams {
        let status = streams.streaming_status.as_deref();
        let streams = Streams {
            name: streams.stream_name.clone(),
            role: streams.role_arn.clone(),
            status: status.and_then(StreamingStatus::parse),
            disabled_reason: None,
        };
        record.streams = (streams != Streams::default()).then_some(streams);
    }
    record
}

fn shape(
    target: &Target,
    record: &ConfigurationRecord,
) -> Result<wire::IdentityPoolConfigurationOutput, ApiError> {
    let push = |push: &Push| wire::PushSync {
        application_arns: (!push.applications.is_empty()).then(|| push.applications.clone()),
        role_arn: push.role.clone(),
    };
    let streams = |streams: &Streams| wire::CognitoStreams {
        stream_name: streams.name.clone(),
        role_arn: streams.role.clone(),
        streaming_status: streams.status.map(|status| status.name().to_owned()),
        disabled_reason: streams.disabled_reason.clone(),
    };
    Ok(wire::IdentityPoolConfigurationOutput {
        identity_pool_id: target.pool()?.0.to_string(),
        push_sync: record.push.as_ref().map(push),
        cognito_streams: record.streams.as_ref().map(streams),
    })
}
