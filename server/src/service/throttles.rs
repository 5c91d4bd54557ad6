//! How fast callers may ask.

use crate::access::Caller;
use crate::config::LimitsConfig;
use crate::error::ApiError;
use crate::throttle::Throttle;

/// Only who has proved who it is can use up its share.
pub(super) struct Throttles {
    identities: Throttle,
    keys: Throttle,
}

impl Throttles {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        Self {
            identities: Throttle::new(limits.identity_rate()),
            keys: Throttle::new(limits.key_rate()),
        }
    }

    /// Takes one request of a caller from its share.
    pub(super) fn admit(&self, caller: &Caller, now_ms: u64) -> Result<(), ApiError> {
        match caller {
            Caller::Developer(developer) => self.keys.admit(&developer.key, now_ms),
            Caller::Identity { identity, .. } => self.identities.admit(identity, now_ms),
        }
    }
}
