//! What a caller may be told: every exception of both APIs, with its name and status.
//!
//! A refusal of the engine becomes the exception that says the same. A fault is logged here, once
//! and with its causes, and shown as an internal error without details.

use std::error::Error as StdError;
use std::fmt::{self, Display};

use syncline_engine::{Error as EngineError, Fault, Refusal};

/// Which API a request speaks; they number their errors differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Cognito Sync: REST with JSON bodies.
    Sync,
    /// Cognito Identity: JSON 1.1 by `X-Amz-Target`.
    Identity,
    /// The read side of Kinesis, for the built-in stream: JSON 1.1 by `X-Amz-Target`.
    Kinesis,
}

impl Api {
    /// The service name that a signature for this API is scoped to.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::Sync => "cognito-sync",
            Self::Identity => "cognito-identity",
            Self::Kinesis => "kinesis",
        }
    }
}

/// An answer other than success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Which exception.
    pub kind: ErrorKind,
    /// For people; some clients match on the beginning of it.
    pub message: String,
    /// When to try again, if that is known.
    pub retry_after_seconds: Option<u64>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $status:literal $name:literal,)*) => {
        /// Every exception that the server may answer with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[$doc])* $kind,)* }

        impl ErrorKind {
            /// All of them, for tests and tables.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name that clients map to their exception classes.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            fn own_status(self) -> u16 {
                match self { $(Self::$kind => $status,)* }
            }
        }
    };
}

kinds! {
    /// A record moved on since the caller read it.
    ResourceConflict = 409 "ResourceConflictException",
    /// A value that breaks a rule.
    InvalidParameter = 400 "InvalidParameterException",
    /// What the request names does not exist.
    ResourceNotFound = 404 "ResourceNotFoundException",
    /// The credentials are not the kind that this needs, or no longer valid for it.
    NotAuthorized = 403 "NotAuthorizedException",
    /// The caller is known but may not do this.
    AccessDenied = 403 "AccessDeniedException",
    /// A dataset, record, size or pool limit.
    LimitExceeded = 400 "LimitExceededException",
    /// Throttled; try again.
    TooManyRequests = 429 "TooManyRequestsException",
    /// The trigger function was throttled; try again.
    LambdaThrottled = 429 "LambdaThrottledException",
    /// The trigger function failed or answered something unusable.
    InvalidLambdaFunctionOutput = 400 "InvalidLambdaFunctionOutputException",
    /// The trigger function took too long.
    LambdaSocketTimeout = 400 "LambdaSocketTimeoutException",
    /// Push is not configured for this.
    InvalidConfiguration = 400 "InvalidConfigurationException",
    /// Two writes of one configuration at once.
    ConcurrentModification = 400 "ConcurrentModificationException",
    /// A bulk publish runs already.
    DuplicateRequest = 400 "DuplicateRequestException",
    /// A bulk publish succeeded less than a day ago.
    AlreadyStreamed = 400 "AlreadyStreamedException",
    /// The developer user belongs to another identity.
    DeveloperUserAlreadyRegistered = 400 "DeveloperUserAlreadyRegisteredException",
    /// The pool is not set up for this.
    InvalidIdentityPoolConfiguration = 400 "InvalidIdentityPoolConfigurationException",
    /// The provider of a login cannot be asked.
    ExternalService = 400 "ExternalServiceException",
    /// Wrong signature, unknown key, wrong scope or a clock too far away.
    InvalidSignature = 403 "InvalidSignatureException",
    /// A signature that lacks a part or has the wrong form.
    IncompleteSignature = 400 "IncompleteSignatureException",
    /// No signature where one is needed.
    MissingAuthenticationToken = 403 "MissingAuthenticationTokenException",
    /// Rightly signed with temporary credentials whose time is over.
    ExpiredToken = 403 "ExpiredTokenException",
    /// A body that is not what the operation reads.
    Serialization = 400 "SerializationException",
    /// No operation has this method and path, or this name.
    UnknownOperation = 404 "UnknownOperationException",
    /// The path exists, the method does not.
    MethodNotAllowed = 405 "MethodNotAllowedException",
    /// A request that cannot be framed without guessing.
    BadRequest = 400 "BadRequestException",
    /// The body is larger than any valid one.
    RequestTooLarge = 413 "RequestEntityTooLargeException",
    /// The body did not arrive in time.
    RequestTimeout = 408 "RequestTimeoutException",
    /// An operation of the API that this version does not have.
    NotImplemented = 501 "NotImplementedException",
    /// A member of a request to a stream that breaks a rule of its form.
    Validation = 400 "ValidationException",
    /// What a request to a stream names is not of that stream.
    InvalidArgument = 400 "InvalidArgumentException",
    /// A place in a stream that is too old.
    ExpiredIterator = 400 "ExpiredIteratorException",
    /// A place in the changes of a pool that the feed does not reach any more.
    CursorTooOld = 410 "CursorTooOldException",
    /// Our fault, logged.
    Internal = 500 "InternalErrorException",
}

impl ErrorKind {
    /// The HTTP status. The APIs that go by `X-Amz-Target` answer every client error of their own
    /// with 400; what fails before an API is reached keeps its status.
    #[must_use]
    pub fn status(self, api: Api) -> u16 {
        let transport = matches!(
            self,
            Self::MethodNotAllowed | Self::RequestTooLarge | Self::RequestTimeout
        );
        match (api, self.own_status()) {
            (Api::Identity | Api::Kinesis, 400..500) if !transport => 400,
            (_, status) => status,
        }
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $function:ident = $kind:ident,)*) => {
        impl ApiError {
            $($(#[$doc])*
            pub fn $function(message: impl Into<String>) -> Self {
                Self::new(ErrorKind::$kind, message)
            })*
        }
    };
}

constructors! {
    /// A record moved on: 409.
    conflict = ResourceConflict,
    /// A value that breaks a rule.
    invalid_parameter = InvalidParameter,
    /// What the request names does not exist.
    not_found = ResourceNotFound,
    /// Credentials of the wrong kind, or no longer valid.
    not_authorized = NotAuthorized,
    /// The caller may not do this.
    access_denied = AccessDenied,
    /// A limit would be passed.
    limit_exceeded = LimitExceeded,
    /// Throttled.
    too_many_requests = TooManyRequests,
    /// A body that is not what the operation reads.
    serialization = Serialization,
    /// No such operation.
    unknown_operation = UnknownOperation,
    /// The path exists, the method does not.
    method_not_allowed = MethodNotAllowed,
    /// Wrong signature or unknown key.
    invalid_signature = InvalidSignature,
    /// A signature of the wrong form.
    incomplete_signature = IncompleteSignature,
    /// No signature where one is needed.
    missing_authentication_token = MissingAuthenticationToken,
    /// Temporary credentials whose time is over.
    expired_token = ExpiredToken,
    /// A request that cannot be framed without guessing.
    bad_request = BadRequest,
    /// A body larger than any valid one.
    request_too_large = RequestTooLarge,
    /// A body that did not arrive in time.
    request_timeout = RequestTimeout,
    /// An operation that this version does not have.
    not_implemented = NotImplemented,
    /// Two writes of one thing at once; trying again may help.
    concurrent_modification = ConcurrentModification,
    /// Push is not configured for this.
    invalid_configuration = InvalidConfiguration,
    /// A bulk publish runs already.
    duplicate_request = DuplicateRequest,
    /// A bulk publish succeeded less than a day ago.
    already_streamed = AlreadyStreamed,
    /// The pool is not set up for this.
    invalid_pool_configuration = InvalidIdentityPoolConfiguration,
    /// What a request to a stream names is not of that stream.
    invalid_argument = InvalidArgument,
    /// A place in a stream that is too old.
    expired_iterator = ExpiredIterator,
    /// A place in the changes of a pool that the feed does not reach any more.
    cursor_too_old = CursorTooOld,
    /// The developer user belongs to another identity.
    developer_user_already_registered = DeveloperUserAlreadyRegistered,
}

impl ApiError {
    /// Any exception with its message; the named constructors read better.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after_seconds: None,
        }
    }

    /// The same, with when to try again: rounded up to whole seconds, as HTTP counts them.
    #[must_use]
    pub fn after_ms(self, wait_ms: u64) -> Self {
        Self {
            retry_after_seconds: Some(wait_ms.div_ceil(1000)),
            ..self
        }
    }

    /// Our fault: logs what was being done and the whole chain of causes, tells the caller
    /// nothing of it.
    pub fn fault(doing: &str, error: &(dyn StdError + 'static)) -> Self {
        tracing::error!("{doing}: {}", Chain(error));
        Self::internal()
    }

    /// Our fault, without an error value to blame.
    pub fn bug(what: &str) -> Self {
        tracing::error!("this should not happen: {what}");
        Self::internal()
    }

    /// Our fault, which was logged already.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            ErrorKind::Internal,
            "The request failed because of an internal error.",
        )
    }
}

impl Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.message)
    }
}

impl StdError for ApiError {}

/// Shows an error and its causes on one line.
#[derive(Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn StdError + 'static));

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refusal(refusal) => refusal.into(),
            EngineError::Fault(fault) => fault.into(),
            EngineError::NotResident => Self::bug("a read was not repeated where it may block"),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let kind = match &refusal {
            Refusal::Invalid { .. } | Refusal::NoSuchSyncCount(_) => ErrorKind::InvalidParameter,
            Refusal::Conflict { .. } => ErrorKind::ResourceConflict,
            Refusal::NoSuch(_) => ErrorKind::ResourceNotFound,
            Refusal::LimitExceeded { .. } => ErrorKind::LimitExceeded,
            Refusal::Busy => ErrorKind::TooManyRequests,
            // Names a key of ours, which means nothing to a caller.
            Refusal::Unexpected { .. } => {
                return Self::concurrent_modification("Another request changed this; try again.");
            }
            // Cursors are ours; no caller gave one.
            Refusal::CursorTooOld { .. }
            | Refusal::ForeignCursor
            | Refusal::ExportOverrun { .. }
            | Refusal::ExportGone { .. } => {
                return Self::fault("reading the feed", &refusal);
            }
        };
        Self::new(kind, refusal.to_string())
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self::fault("the store failed", &fault)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use syncline_engine::{Limit, RecordKey, SyncCount};

    use super::*;

    #[test]
    fn names_are_full_exception_names_and_unique() {
        let mut names: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
        assert!(names.iter().all(|name| name.ends_with("Exception")));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn the_identity_api_answers_its_client_errors_with_400() {
        assert_eq!(ErrorKind::ResourceConflict.status(Api::Sync), 409);
        assert_eq!(ErrorKind::InvalidSignature.status(Api::Sync), 403);
        for kind in [
            ErrorKind::ResourceConflict,
            ErrorKind::ResourceNotFound,
            ErrorKind::NotAuthorized,
            ErrorKind::InvalidSignature,
            ErrorKind::TooManyRequests,
        ] {
            assert_eq!(kind.status(Api::Identity), 400, "{}", kind.name());
        }
        assert_eq!(ErrorKind::Internal.status(Api::Identity), 500);
        assert_eq!(ErrorKind::RequestTooLarge.status(Api::Identity), 413);
    }

    #[test]
    fn refusals_become_their_exceptions() {
        let conflict = Refusal::Conflict {
            key: RecordKey::parse("level").unwrap(),
            server: SyncCount::new(7).unwrap(),
            client: SyncCount::new(3).unwrap(),
        };
        let error = ApiError::from(EngineError::from(conflict));
        assert_eq!(
            error,
            ApiError::conflict("Current SyncCount for: level is: 7 not: 3")
        );
        let limit = Refusal::LimitExceeded {
            limit: Limit::RecordsPerDataset,
            max: 1024,
        };
        assert_eq!(ApiError::from(limit).kind, ErrorKind::LimitExceeded);
        assert_eq!(ApiError::from(Refusal::Busy).kind.status(Api::Sync), 429);
        let missing = Refusal::NoSuchSyncCount(SyncCount::new(9).unwrap());
        assert_eq!(
            ApiError::from(missing),
            ApiError::invalid_parameter("No such SyncCount: 9 exists for this Dataset")
        );
    }

    #[test]
    fn a_fault_tells_the_caller_nothing() {
        let source = Arc::new(io::Error::other("device on fire"));
        let fault = Fault::Io {
            doing: "sync",
            path: "hot/7.log".into(),
            source,
        };
        assert_eq!(
            Chain(&fault).to_string(),
            "cannot sync hot/7.log: device on fire"
        );
        let error = ApiError::from(fault);
        assert_eq!(error.kind, ErrorKind::Internal);
        assert!(!error.message.contains("hot") && !error.message.contains("fire"));
    }
}
