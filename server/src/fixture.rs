//! A site for tests: a real store in a directory that goes away, and a clock that tests turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use syncline_engine::{Engine, Options, Timestamp};
use tempfile::TempDir;

use crate::access::{self, Caller};
use crate::config::{Config, RootKey, Secret};
use crate::error::ApiError;
use crate::routes::{IdentityOperation, Labels, SyncOperation};
use crate::seal::tests::keys;
use crate::site::{Clock, Holds, Site};
use crate::{identity, ops};

/// When tests begin.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// See the module.
pub(crate) struct Fixture {
    pub(crate) site: Arc<Site>,
    directory: TempDir,
    config: Arc<Config>,
    cache_bytes: usize,
    now_ms: Arc<AtomicU64>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Config::default(), 1 << 20)
    }

    pub(crate) fn with(config: Config, cache_bytes: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (config, now_ms) = (Arc::new(config), Arc::new(AtomicU64::new(START_MS)));
        let site = open(&directory, &config, cache_bytes, &now_ms);
        Self {
            site,
            directory,
            config,
            cache_bytes,
            now_ms,
        }
    }

    /// Closes and opens again, as a new process would.
    pub(crate) async fn restart(self) -> Self {
        self.site.close().await.unwrap();
        let Self {
            site,
            directory,
            config,
            cache_bytes,
            now_ms,
        } = self;
        drop(site);
        let site = open(&directory, &config, cache_bytes, &now_ms);
        Self {
            site,
            directory,
            config,
            cache_bytes,
            now_ms,
        }
    }

    pub(crate) fn pass_ms(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Calls an operation of Cognito Identity as the developer.
    pub(crate) async fn identity(&self, operation: &str, body: Value) -> Result<Value, ApiError> {
        self.identity_as(Some(&Caller::root("AKIAROOT")), operation, body)
            .await
    }

    pub(crate) async fn identity_as(
        &self,
        caller: Option<&Caller>,
        operation: &str,
        body: Value,
    ) -> Result<Value, ApiError> {
        let operation = IdentityOperation::ALL
            .iter()
            .find(|known| known.name() == operation)
            .unwrap();
        let body = body.to_string();
        let answer = identity::answer(&self.site, caller, *operation, body.as_bytes()).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// Calls an operation of Cognito Sync on a pool as the developer.
    pub(crate) async fn sync(
        &self,
        operation: &str,
        pool: &str,
        body: Value,
    ) -> Result<Value, ApiError> {
        let developer = Caller::root("AKIAROOT");
        let user = User {
            fixture: self,
            pool: pool.to_owned(),
            identity: String::new(),
            caller: developer,
        };
        user.call(operation, "", "", body).await
    }

    /// A pool that allows guests and has the developer provider `login.game`.
    pub(crate) async fn pool(&self) -> String {
        let body = json!({
            "IdentityPoolName": "game",
            "AllowUnauthenticatedIdentities": true,
            "DeveloperProviderName": "login.game",
        });
        text(
            &self.identity("CreateIdentityPool", body).await.unwrap(),
            "IdentityPoolId",
        )
    }

    /// A guest of a pool, signed in.
    pub(crate) async fn guest(&self, pool: &str) -> User<'_> {
        let body = json!({ "IdentityPoolId": pool });
        let identity = text(&self.identity("GetId", body).await.unwrap(), "IdentityId");
        let body = json!({ "IdentityId": identity });
        let answer = self
            .identity("GetCredentialsForIdentity", body)
            .await
            .unwrap();
        let caller = self.caller(&answer).unwrap();
        User {
            fixture: self,
            pool: pool.to_owned(),
            identity,
            caller,
        }
    }

    /// Whom credentials stand for.
    pub(crate) fn caller(&self, answer: &Value) -> Result<Caller, ApiError> {
        let credentials = &answer["Credentials"];
        let (id, token) = (
            text(credentials, "AccessKeyId"),
            text(credentials, "SessionToken"),
        );
        let (site, now_ms) = (&self.site, self.site.now().get());
        let found = access::resolve(
            &site.keys,
            &site.root,
            &site.developers,
            &id,
            Some(&token),
            now_ms,
        );
        assert_eq!(found.secret.expose(), text(credentials, "SecretKey"));
        found.caller()
    }
}

fn open(
    directory: &TempDir,
    config: &Arc<Config>,
    cache_bytes: usize,
    now_ms: &Arc<AtomicU64>,
) -> Arc<Site> {
    let now_ms = Arc::clone(now_ms);
    let clock: Clock = Arc::new(move || Timestamp::new(now_ms.load(Ordering::Relaxed)).unwrap());
    let options = Options {
        cache_bytes,
        segment_bytes: 1 << 20,
        feed_retention: config.engine.feed_retention(),
        feed_retention_bytes: config.engine.feed_retention_bytes,
        pin_bytes: config.engine.pin_bytes,
        clock: clock.clone(),
        ..Options::default()
    };
    let engine = Engine::open(directory.path(), options).unwrap();
    let root = RootKey {
        access_key_id: "AKIAROOT".to_owned(),
        secret: Secret::new("secret"),
        file: None,
    };
    let holds = Holds::find(&engine);
    Site::open(engine, holds, Arc::clone(config), keys(), root, clock).unwrap()
}

/// A signed-in user and the datasets that it sees.
pub(crate) struct User<'a> {
    pub(crate) fixture: &'a Fixture,
    pub(crate) pool: String,
    pub(crate) identity: String,
    pub(crate) caller: Caller,
}

impl User<'_> {
    pub(crate) fn labels(&self, dataset: &str) -> Labels {
        Labels {
            pool: self.pool.clone(),
            identity: self.identity.clone(),
            dataset: dataset.to_owned(),
            device: String::new(),
        }
    }

    /// Calls an operation of Cognito Sync.
    pub(crate) async fn call(
        &self,
        operation: &str,
        dataset: &str,
        query: &str,
        body: Value,
    ) -> Result<Value, ApiError> {
        self.call_as(&self.caller, operation, &self.labels(dataset), query, body)
            .await
    }

    pub(crate) async fn call_as(
        &self,
        caller: &Caller,
        operation: &str,
        labels: &Labels,
        query: &str,
        body: Value,
    ) -> Result<Value, ApiError> {
        let operation = SyncOperation::ALL
            .iter()
            .find(|known| known.name() == operation)
            .unwrap();
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let site = &self.fixture.site;
        let answer = ops::answer(site, caller, *operation, labels, query, body.as_bytes()).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    pub(crate) async fn list(&self, dataset: &str, query: &str) -> Result<Value, ApiError> {
        self.call("ListRecords", dataset, query, Value::Null).await
    }

    /// A session token for a dataset.
    pub(crate) async fn token(&self, dataset: &str) -> String {
        text(&self.list(dataset, "").await.unwrap(), "SyncSessionToken")
    }

    /// Updates with a session of its own.
    pub(crate) async fn update(&self, dataset: &str, patches: Value) -> Result<Value, ApiError> {
        let token = self.token(dataset).await;
        self.update_with(dataset, &token, patches).await
    }

    pub(crate) async fn update_with(
        &self,
        dataset: &str,
        token: &str,
        patches: Value,
    ) -> Result<Value, ApiError> {
        let body = json!({ "SyncSessionToken": token, "RecordPatches": patches });
        self.call("UpdateRecords", dataset, "", body).await
    }
}

/// A member that is a string.
pub(crate) fn text(value: &Value, member: &str) -> String {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("no {member} in {value}"))
        .to_owned()
}

/// A patch that stores a value.
pub(crate) fn replace(key: &str, value: &str, count: u64) -> Value {
    json!({ "Op": "replace", "Key": key, "Value": value, "SyncCount": count })
}

/// A patch that removes.
pub(crate) fn remove(key: &str, count: u64) -> Value {
    json!({ "Op": "remove", "Key": key, "SyncCount": count, "Value": "" })
}
