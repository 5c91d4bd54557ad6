//! Functions of the operator's that are asked before records are stored.
//!
//! Which function a pool asks is a name in its settings; where that function is, the
//! configuration says. Whatever goes wrong is one of three exceptions and nothing is stored.

mod breaker;
mod event;
mod function;

use std::collections::BTreeMap;

use crate::config::FunctionConfig;
use crate::error::{ApiError, ErrorKind};
use crate::metrics::TriggerFigures;

use function::{Failed, Function};

pub use event::{Event, Op, Reply, Returned, Shown};

/// All functions of the configuration.
#[derive(Debug)]
pub struct Triggers {
    by_arn: BTreeMap<String, Function>,
    figures: TriggerFigures,
}

impl Triggers {
    /// Nothing asked yet. `reply_bytes_max` bounds the answer of a function.
    #[must_use]
    pub fn new(config: &BTreeMap<String, FunctionConfig>, reply_bytes_max: usize) -> Self {
        let function = |arn: &String, config| Function::new(arn, config, reply_bytes_max);
        Self {
            by_arn: config
                .iter()
                .map(|(arn, config)| (arn.clone(), function(arn, config)))
                .collect(),
            figures: TriggerFigures::default(),
        }
    }

    /// What is counted of the calls; clones share it.
    #[must_use]
    pub fn figures(&self) -> &TriggerFigures {
        &self.figures
    }

    /// Asks a function about an update and reads its answer.
    ///
    /// # Errors
    /// `LambdaThrottledException` if too many calls are under way, here or there;
    /// `LambdaSocketTimeoutException` if it is slow; `InvalidLambdaFunctionOutputException` for
    /// all else: a function that is not configured, cannot be reached, fails or answers wrongly.
    pub async fn ask(&self, arn: &str, event: &Event<'_>, seconds: u64) -> Result<Reply, ApiError> {
        let Some((arn, function)) = self.by_arn.get_key_value(arn) else {
            tracing::warn!("a pool names the function {arn:?}, which is not configured");
            return Err(output(
                "The function of the SyncTrigger is not configured here.",
            ));
        };
        let began = std::time::Instant::now();
        let answer = function.call(event.to_bytes()?, seconds).await;
        let read = answer.and_then(|bytes| Reply::read(&bytes, event).map_err(Failed::Output));
        let outcome = read.as_ref().map_or_else(Failed::name, |_| "ok");
        self.figures
            .called(arn, outcome, began.elapsed(), function.is_down());
        read.map_err(|failed| {
            // What a function decides is its own; what is wrong with it is for the operator.
            if failed.is_trouble() {
                tracing::warn!("the function {arn}: {failed}");
            } else {
                tracing::debug!("the function {arn}: {failed}");
            }
            failed.into()
        })
    }
}

impl From<Failed> for ApiError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Throttled => {
                let message = "The function of the SyncTrigger is throttled; try again.";
                Self::new(ErrorKind::LambdaThrottled, message).after_ms(1000)
            }
            Failed::Down { slow: true } | Failed::Slow => {
                let seconds = function::TIMEOUT.as_secs();
                Self::new(
                    ErrorKind::LambdaSocketTimeout,
                    format!(
                        "The function of the SyncTrigger did not answer within {seconds} seconds."
                    ),
                )
            }
            Failed::Down { slow: false } | Failed::Unreachable(_) | Failed::Status(502..=504) => {
                output("The function of the SyncTrigger cannot be reached.")
            }
            Failed::Status(_) | Failed::Function => {
                output("The function of the SyncTrigger failed.")
            }
            Failed::Output(why) => output(&format!(
                "The function of the SyncTrigger answered something unusable: {why}."
            )),
        }
    }
}

/// The exception of a function that fails, or answers what cannot be used.
#[must_use]
pub fn output(message: &str) -> ApiError {
    ApiError::new(ErrorKind::InvalidLambdaFunctionOutput, message)
}
