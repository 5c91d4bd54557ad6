//! Which operation a request asks for: one table for Cognito Sync's paths, one each for the names
//! of Cognito Identity's and Kinesis' operations, one for what the server has of its own.
//!
//! Paths are matched as they were sent: split at raw `/` first, labels percent-decoded after, so
//! that an encoded slash stays part of its label. Nothing is normalised and case counts.

mod own;

use percent_encoding::percent_decode_str;

use crate::error::ApiError;

pub use own::OwnOperation;

macro_rules! operations {
    ($(#[$doc:meta])* $type:ident: $($name:ident)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names are those of the API models")]
        pub enum $type { $($name,)* }

        impl $type {
            /// All operations of the API.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in the API model.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

operations! {
    /// An operation of Cognito Sync.
    SyncOperation:
    BulkPublish DeleteDataset DescribeDataset DescribeIdentityPoolUsage DescribeIdentityUsage
    GetBulkPublishDetails GetCognitoEvents GetIdentityPoolConfiguration ListDatasets
    ListIdentityPoolUsage ListRecords RegisterDevice SetCognitoEvents
    SetIdentityPoolConfiguration SubscribeToDataset UnsubscribeFromDataset UpdateRecords
}

operations! {
    /// An operation of Cognito Identity.
    IdentityOperation:
    CreateIdentityPool DeleteIdentities DeleteIdentityPool DescribeIdentity DescribeIdentityPool
    GetCredentialsForIdentity GetId GetIdentityPoolRoles GetOpenIdToken
    GetOpenIdTokenForDeveloperIdentity GetPrincipalTagAttributeMap ListIdentities
    ListIdentityPools ListTagsForResource LookupDeveloperIdentity MergeDeveloperIdentities
    SetIdentityPoolRoles SetPrincipalTagAttributeMap TagResource UnlinkDeveloperIdentity
    UnlinkIdentity UntagResource UpdateIdentityPool
}

operations! {
    /// An operation of Kinesis: what reading a stream takes.
    KinesisOperation:
    DescribeStream DescribeStreamSummary GetRecords GetShardIterator ListShards ListStreams
}

impl KinesisOperation {
    /// What `X-Amz-Target` begins with.
    const TARGET: &'static str = "Kinesis_20131202.";

    /// Finds the operation that an `X-Amz-Target` header names; `None` if it is not of Kinesis.
    ///
    /// # Errors
    /// `UnknownOperationException`, within the answer.
    #[must_use]
    pub fn resolve(target: &str) -> Option<Result<Self, ApiError>> {
        let name = target.strip_prefix(Self::TARGET)?;
        let mut known = Self::ALL.iter().copied();
        let found = known.find(|operation| operation.name() == name);
        Some(found.ok_or_else(|| {
            ApiError::unknown_operation(
                "Of Kinesis there are ListStreams, DescribeStream, DescribeStreamSummary, \
                 ListShards, GetShardIterator and GetRecords here: the built-in stream is read \
                 by them, and written by the server alone.",
            )
        }))
    }
}

impl IdentityOperation {
    /// What `X-Amz-Target` begins with.
    const TARGET: &'static str = "AWSCognitoIdentityService.";

    /// Whether callers sign it. The others are how a caller without keys gets some.
    #[must_use]
    pub fn is_signed(self) -> bool {
        use IdentityOperation::{GetCredentialsForIdentity, GetId, GetOpenIdToken, UnlinkIdentity};
        !matches!(
            self,
            GetId | GetCredentialsForIdentity | GetOpenIdToken | UnlinkIdentity
        )
    }

    /// Finds the operation that an `X-Amz-Target` header names.
    ///
    /// # Errors
    /// `UnknownOperationException` if it names none.
    pub fn resolve(target: &str) -> Result<Self, ApiError> {
        let name = target.strip_prefix(Self::TARGET);
        name.and_then(|name| {
            Self::ALL
                .iter()
                .copied()
                .find(|operation| operation.name() == name)
        })
        .ok_or_else(|| {
            let known = Self::TARGET;
            ApiError::unknown_operation(format!(
                "X-Amz-Target must be {known}<operation>, not {target:?}."
            ))
        })
    }
}

/// What the path of a request names. A label that the route does not have is empty, which no
/// valid name is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// `{IdentityPoolId}`
    pub pool: String,
    /// `{IdentityId}`
    pub identity: String,
    /// `{DatasetName}`
    pub dataset: String,
    /// `{DeviceId}`
    pub device: String,
}

impl Labels {
    fn place(&mut self, label: &str) -> Option<&mut String> {
        match label {
            "{IdentityPoolId}" => Some(&mut self.pool),
            "{IdentityId}" => Some(&mut self.identity),
            "{DatasetName}" => Some(&mut self.dataset),
            "{DeviceId}" => Some(&mut self.device),
            _ => None,
        }
    }
}

struct Route {
    method: &'static str,
    template: &'static str,
    /// Slashes of the template: most paths differ in that already.
    depth: usize,
    operation: SyncOperation,
}

const fn depth(path: &str) -> usize {
    let (bytes, mut at, mut slashes) = (path.as_bytes(), 0, 0);
    while at < bytes.len() {
        slashes += (bytes[at] == b'/') as usize;
        at += 1;
    }
    slashes
}

const fn route(method: &'static str, template: &'static str, operation: SyncOperation) -> Route {
    Route {
        method,
        template,
        depth: depth(template),
        operation,
    }
}

/// Every path of Cognito Sync. Note the two spellings of "identity" and the lone camel case: they
/// are the service's own.
#[rustfmt::skip]
const ROUTES: [Route; 17] = {
    use SyncOperation as O;
    [
        route("GET", "/identitypools", O::ListIdentityPoolUsage),
        route("GET", "/identitypools/{IdentityPoolId}", O::DescribeIdentityPoolUsage),
        route("POST", "/identitypools/{IdentityPoolId}/bulkpublish", O::BulkPublish),
        route("POST", "/identitypools/{IdentityPoolId}/getBulkPublishDetails", O::GetBulkPublishDetails),
        route("GET", "/identitypools/{IdentityPoolId}/configuration", O::GetIdentityPoolConfiguration),
        route("POST", "/identitypools/{IdentityPoolId}/configuration", O::SetIdentityPoolConfiguration),
        route("GET", "/identitypools/{IdentityPoolId}/events", O::GetCognitoEvents),
        route("POST", "/identitypools/{IdentityPoolId}/events", O::SetCognitoEvents),
        route("POST", "/identitypools/{IdentityPoolId}/identity/{IdentityId}/device", O::RegisterDevice),
        route("GET", "/identitypools/{IdentityPoolId}/identities/{IdentityId}", O::DescribeIdentityUsage),
        route("GET", "/identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets", O::ListDatasets),
        route("GET", "/identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets/{DatasetName}", O::DescribeDataset),
        route("POST", "/identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets/{DatasetName}", O::UpdateRecords),
        route("DELETE", "/identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets/{DatasetName}", O::DeleteDataset),
        route("GET", "/identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets/{DatasetName}/records", O::ListRecords),
        route("POST", "/identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets/{DatasetName}/subscriptions/{DeviceId}", O::SubscribeToDataset),
        route("DELETE", "/identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets/{DatasetName}/subscriptions/{DeviceId}", O::UnsubscribeFromDataset),
    ]
};

impl SyncOperation {
    /// Method and path, with `{Labels}` in it.
    #[must_use]
    pub fn route(self) -> Option<(&'static str, &'static str)> {
        let route = ROUTES.iter().find(|route| route.operation == self)?;
        Some((route.method, route.template))
    }
}

/// Finds the operation of Cognito Sync that a method and a raw path name.
///
/// # Errors
/// `UnknownOperationException` for a path that no operation has, `MethodNotAllowedException` for
/// a method that the path does not have, `SerializationException` for a label that is not UTF-8.
pub fn resolve(method: &str, path: &str) -> Result<(SyncOperation, Labels), ApiError> {
    let mut allowed = Vec::new();
    let depth = depth(path);
    for route in &ROUTES {
        if route.depth != depth || !matches(route.template, path) {
            continue;
        }
        if route.method == method {
            return Ok((route.operation, labels(route.template, path)?));
        }
        allowed.push(route.method);
    }
    if allowed.is_empty() {
        return Err(ApiError::unknown_operation("No operation has this path."));
    }
    let allowed = allowed.join(", ");
    Err(ApiError::method_not_allowed(format!(
        "This path has {allowed}, not {method:?}."
    )))
}

fn is_label(segment: &str) -> bool {
    segment.starts_with('{')
}

fn matches(template: &str, path: &str) -> bool {
    let mut sent = path.split('/');
    let fits = template.split('/').all(|wanted| match sent.next() {
        Some(segment) if is_label(wanted) => !segment.is_empty(),
        Some(segment) => segment == wanted,
        None => false,
    });
    fits && sent.next().is_none()
}

fn labels(template: &str, path: &str) -> Result<Labels, ApiError> {
    let mut labels = Labels::default();
    for (wanted, sent) in template.split('/').zip(path.split('/')) {
        if let Some(place) = labels.place(wanted) {
            let decoded = percent_decode_str(sent).decode_utf8().map_err(|_| {
                ApiError::serialization(format!("{wanted} in the path is not valid UTF-8."))
            })?;
            *place = decoded.into_owned();
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const DATASET: &str = "/identitypools/us-east-1%3Aaa/identities/us-east-1:bb/datasets/game";

    #[test]
    fn the_table_has_every_operation_once() {
        for operation in SyncOperation::ALL {
            let rows = ROUTES
                .iter()
                .filter(|route| route.operation == *operation)
                .count();
            assert_eq!(rows, 1, "{}", operation.name());
        }
        for route in &ROUTES {
            for segment in route
                .template
                .split('/')
                .filter(|segment| is_label(segment))
            {
                assert!(Labels::default().place(segment).is_some(), "{segment}");
            }
        }
    }

    #[test]
    fn labels_are_decoded_after_the_split() {
        let (operation, labels) = resolve("POST", DATASET).unwrap();
        assert_eq!(operation, SyncOperation::UpdateRecords);
        assert_eq!(labels.pool, "us-east-1:aa");
        assert_eq!(labels.identity, "us-east-1:bb");
        assert_eq!(labels.dataset, "game");
        let path = format!("{DATASET}/subscriptions/a%2Fb%20c");
        let (operation, labels) = resolve("DELETE", &path).unwrap();
        assert_eq!(operation, SyncOperation::UnsubscribeFromDataset);
        assert_eq!(labels.device, "a/b c");
    }

    #[test]
    fn every_template_resolves_to_its_own_operation() {
        for route in &ROUTES {
            let path = route.template.replace(['{', '}'], "");
            let (operation, _) = resolve(route.method, &path).unwrap();
            assert_eq!(operation, route.operation, "{path}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_refused_specifically() {
        let kind = |method, path: &str| resolve(method, path).unwrap_err().kind;
        for path in [
            "",
            "/",
            "*",
            "identitypools",
            "/IdentityPools",
            "/identitypools/",
            "//identitypools",
            "/identitypools/p/",
            "/identitypools//configuration",
            "/identitypools/p/../p",
            "/identitypools/p/identities/i/datasets/d/records/",
            "/identitypools/p%2Fconfiguration/x",
        ] {
            assert_eq!(kind("GET", path), ErrorKind::UnknownOperation, "{path}");
        }
        let error = resolve("PUT", DATASET).unwrap_err();
        assert_eq!(error.kind, ErrorKind::MethodNotAllowed);
        assert_eq!(
            error.message,
            "This path has GET, POST, DELETE, not \"PUT\"."
        );
        assert_eq!(kind("get", "/identitypools"), ErrorKind::MethodNotAllowed);
        assert_eq!(kind("GET", "/identitypools/%ff"), ErrorKind::Serialization);
    }

    #[test]
    fn targets_name_identity_operations() {
        let operation = IdentityOperation::resolve("AWSCognitoIdentityService.GetId").unwrap();
        assert_eq!(operation, IdentityOperation::GetId);
        assert!(!operation.is_signed());
        for target in [
            "",
            "GetId",
            "AWSCognitoIdentityService.getId",
            "Other.GetId",
        ] {
            let error = IdentityOperation::resolve(target).unwrap_err();
            assert_eq!(error.kind, ErrorKind::UnknownOperation, "{target}");
        }
        assert!(KinesisOperation::resolve("AWSCognitoIdentityService.GetId").is_none());
        let operation = KinesisOperation::resolve("Kinesis_20131202.GetRecords").unwrap();
        assert_eq!(operation.unwrap(), KinesisOperation::GetRecords);
        let error = KinesisOperation::resolve("Kinesis_20131202.PutRecord").unwrap();
        assert_eq!(error.unwrap_err().kind, ErrorKind::UnknownOperation);
        let unsigned = IdentityOperation::ALL
            .iter()
            .filter(|o| !o.is_signed())
            .count();
        assert_eq!(unsigned, 4);
    }
}
