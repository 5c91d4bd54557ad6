//! Functions of the operator's that are asked before records are stored.
//!
//! Which function a pool asks is a name in its settings; where that function is, the
//! configuration says. Whatever goes wrong is one of three exceptions and nothing is stored.

mod apart;
mod breaker;
mod event;
mod function;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::config::FunctionConfig;
use crate::error::{ApiError, ErrorKind};
use crate::metrics::TriggerFigures;
use crate::outbound::Post;

use event::Fixed;
use function::{Failed, Function, Leave};

pub use apart::apart;
pub use event::{Event, Op, Reply, Returned, Shown};

/// All functions of the configuration.
#[derive(Debug)]
pub struct Triggers {
    by_arn: BTreeMap<String, Arc<Function>>,
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
                .map(|(arn, config)| (arn.clone(), Arc::new(function(arn, config))))
                .collect(),
            figures: TriggerFigures::default(),
        }
    }

    /// What is counted of the calls; clones share it.
    #[must_use]
    pub fn figures(&self) -> &TriggerFigures {
        &self.figures
    }

    /// A place among the calls of a function. To be asked for before anything is done for the
    /// call, so that one that cannot be called costs nothing.
    ///
    /// # Errors
    /// `LambdaThrottledException` if too many calls are under way; what the calls before ended
    /// with if the function is down; `InvalidLambdaFunctionOutputException` if it is not
    /// configured.
    pub fn place(&self, arn: &str) -> Result<Call, ApiError> {
        let Some((arn, function)) = self.by_arn.get_key_value(arn) else {
            tracing::warn!("a pool names the function {arn:?}, which is not configured");
            return Err(output(
                "The function of the SyncTrigger is not configured here.",
            ));
        };
        let told = Told {
            arn: arn.clone(),
            function: Arc::clone(function),
            figures: self.figures.clone(),
        };
        match function.leave() {
            Ok(leave) => Ok(Call { leave, told }),
            Err(failed) => {
                told.count(Some(&failed), Duration::ZERO);
                Err(failed.into())
            }
        }
    }
}

/// A place among the calls of a function.
#[derive(Debug)]
pub struct Call {
    leave: Leave,
    told: Told,
}

/// An event as it is sent: laid out, and signed where the function wants that.
#[derive(Debug)]
pub struct LaidOut {
    post: Post,
    fixed: Fixed,
}

impl Call {
    /// Lays out an event. With a large one this takes a while; see [`apart`].
    ///
    /// # Errors
    /// None that can be.
    pub fn lay_out(&self, event: &Event<'_>, seconds: u64) -> Result<LaidOut, ApiError> {
        let post = self.told.function.post(event.to_bytes()?, seconds);
        let post = post.inspect_err(|failed| self.told.count(Some(failed), Duration::ZERO))?;
        let fixed = event.fixed();
        Ok(LaidOut { post, fixed })
    }

    /// Asks the function about an update; what is learned of its answer, where a large one holds up
    /// nobody. Whoever does not wait for that takes nothing back: the call goes on, so that the
    /// function is known to be down all the same.
    ///
    /// # Errors
    /// `LambdaThrottledException` if the function says that; `LambdaSocketTimeoutException` if it
    /// is slow; `InvalidLambdaFunctionOutputException` for all else: one that cannot be reached,
    /// fails or answers wrongly.
    pub async fn ask<T: Send + 'static>(
        self,
        event: LaidOut,
        learn: impl FnOnce(Reply) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let Self { leave, told } = self;
        let LaidOut { post, fixed } = event;
        let began = Instant::now();
        let sent_bytes = post.body.len();
        let (tell, heard) = oneshot::channel();
        tokio::spawn(async move {
            let answer = told.function.call(leave.attempt, post).await;
            let learned = match answer {
                Ok(bytes) => {
                    let read = move |bytes: &Bytes| Reply::read(bytes, &fixed).map(learn);
                    let most = sent_bytes.max(bytes.len());
                    let read = apart(most, move || read(&bytes)).await;
                    read.map_err(Failed::Output)
                }
                Err(failed) => Err(failed),
            };
            // Before anybody is told, who may call again at once. Until here it bounds the answers
            // that are held.
            drop(leave.free);
            told.count(learned.as_ref().err(), began.elapsed());
            // Nobody may wait for it any more.
            let _ = tell.send(learned);
        });
        let learned = heard.await;
        let learned = learned.map_err(|_| ApiError::bug("a call of a function broke down"))?;
        learned.map_err(ApiError::from)
    }
}

/// Where it is told what came of a call.
#[derive(Debug, Clone)]
struct Told {
    arn: String,
    function: Arc<Function>,
    figures: TriggerFigures,
}

impl Told {
    fn count(&self, failed: Option<&Failed>, elapsed: Duration) {
        let outcome = failed.map_or("ok", Failed::name);
        let is_down = self.function.is_down();
        self.figures.called(&self.arn, outcome, elapsed, is_down);
        // What a function decides is its own; what is wrong with it is for the operator.
        match failed {
            Some(failed) if failed.is_trouble() => {
                tracing::warn!("the function {}: {failed}", self.arn);
            }
            Some(failed) => tracing::debug!("the function {}: {failed}", self.arn),
            None => {}
        }
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
