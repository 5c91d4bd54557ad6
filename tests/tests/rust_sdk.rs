//! `aws-sdk-cognitosync` and `aws-sdk-kinesis`, the clients of Rust programs, against a server in
//! this process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::sync::Arc;

use aws_sdk_cognitosync::Client;
use aws_sdk_cognitosync::config::retry::RetryConfig;
use aws_sdk_cognitosync::config::{BehaviorVersion, Config as ClientConfig, Credentials, Region};
use aws_sdk_cognitosync::error::ProvideErrorMetadata;
use aws_sdk_cognitosync::operation::RequestId;
use aws_sdk_cognitosync::operation::list_records::{ListRecordsError, ListRecordsOutput};
use aws_sdk_cognitosync::operation::update_records::UpdateRecordsError;
use aws_sdk_cognitosync::primitives::{DateTime, DateTimeFormat};
use aws_sdk_cognitosync::types::{CognitoStreams, StreamingStatus};
use aws_sdk_cognitosync::types::{Operation, Record, RecordPatch};
use aws_sdk_kinesis::types::ShardIteratorType;
use serde_json::{Value, json};
use syncline_server::access::Caller;
use syncline_server::config::Config;
use syncline_server::identity;
use syncline_server::listen::Bound;
use syncline_server::routes::IdentityOperation;
use syncline_server::service::Service;
use syncline_server::site::Site;
use syncline_server::start;

const ROOT: (&str, &str) = ("AKIAROOT", "a-root-secret");

/// A server on a free port. It ends with the runtime of the test.
struct Server {
    url: String,
    site: Arc<Site>,
    _directory: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bound = Bound::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut config = Config {
            data: directory.path().join("data"),
            listen: bound.address(),
            ..Config::default()
        };
        // Segments are written ahead; small ones start quickly.
        config.engine.segment_bytes = 1 << 20;
        let config = Arc::new(config);
        let root = |name: &str| {
            let value = if name.contains("SECRET") {
                ROOT.1
            } else {
                ROOT.0
            };
            Some(value.to_owned())
        };
        let site = start::open(Arc::clone(&config), root).unwrap();
        let service = Arc::new(Service::new(Arc::clone(&site)).await.unwrap());
        let listener = bound.listen().unwrap();
        let url = format!("http://{}", config.listen);
        tokio::spawn(async move {
            let never = std::future::pending::<()>();
            listener.serve(service, &config, never).await
        });
        Self {
            url,
            site,
            _directory: directory,
        }
    }

    /// The identity side, of which this client knows nothing, without HTTP.
    async fn identity(&self, operation: IdentityOperation, input: Value) -> Value {
        let (input, root) = (input.to_string(), Caller::root(ROOT.0));
        let answer = identity::answer(&self.site, Some(&root), operation, input.as_bytes());
        serde_json::from_slice(&answer.await.unwrap()).unwrap()
    }

    fn client(&self, credentials: Credentials) -> Client {
        let config = ClientConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.url)
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            // A test must see the first answer, not that of a later try.
            .retry_config(RetryConfig::disabled())
            .build();
        Client::from_conf(config)
    }
}

/// A guest with temporary credentials, and his dataset `game`.
struct Guest {
    client: Client,
    pool: String,
    identity: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Guest {
    async fn new(server: &Server) -> Self {
        let pool = json!({"IdentityPoolName": "app", "AllowUnauthenticatedIdentities": true});
        let pool = server
            .identity(IdentityOperation::CreateIdentityPool, pool)
            .await;
        let pool = text(&pool["IdentityPoolId"]);
        let identity = server
            .identity(IdentityOperation::GetId, json!({"IdentityPoolId": pool}))
            .await;
        let identity = text(&identity["IdentityId"]);
        let given = server
            .identity(
                IdentityOperation::GetCredentialsForIdentity,
                json!({"IdentityId": identity}),
            )
            .await;
        let of = |name: &str| text(&given["Credentials"][name]);
        let client = server.client(Credentials::new(
            of("AccessKeyId"),
            of("SecretKey"),
            Some(of("SessionToken")),
            None,
            "guest",
        ));
        Self {
            client,
            pool,
            identity,
        }
    }

    async fn list(&self, since: i64) -> ListRecordsOutput {
        self.client
            .list_records()
            .identity_pool_id(&self.pool)
            .identity_id(&self.identity)
            .dataset_name("game")
            .last_sync_count(since)
            .send()
            .await
            .unwrap()
    }

    async fn update(
        &self,
        token: &str,
        patch: RecordPatch,
    ) -> Result<Vec<Record>, UpdateRecordsError> {
        let sent = self
            .client
            .update_records()
            .identity_pool_id(&self.pool)
            .identity_id(&self.identity)
            .dataset_name("game")
            .sync_session_token(token)
            .record_patches(patch)
            .send()
            .await;
        match sent {
            Ok(answer) => Ok(answer.records().to_vec()),
            Err(error) => Err(error.into_service_error()),
        }
    }

    async fn write(&self, patch: RecordPatch) -> Record {
        let token = self.list(0).await.sync_session_token.unwrap();
        self.update(&token, patch).await.unwrap().remove(0)
    }
}

fn replace(value: &str, count: i64) -> RecordPatch {
    RecordPatch::builder()
        .op(Operation::Replace)
        .key("level")
        .value(value)
        .sync_count(count)
        .build()
        .unwrap()
}

#[tokio::test]
async fn what_is_written_is_listed() {
    let server = Server::start().await;
    let guest = Guest::new(&server).await;
    let nothing = guest.list(0).await;
    assert!(!nothing.dataset_exists());
    assert_eq!(nothing.dataset_sync_count, Some(0));
    // The client reads times by way of binary fractions, which hold this one exactly.
    let date = DateTime::from_str("1700574873.125", DateTimeFormat::EpochSeconds).unwrap();
    let mut patch = replace("sieben ✓", 0);
    patch.device_last_modified_date = Some(date);
    let token = nothing.sync_session_token().unwrap();
    let written = guest.update(token, patch).await.unwrap().remove(0);
    assert_eq!(written.sync_count, Some(1));
    assert_eq!(written.value(), Some("sieben ✓"));
    assert_eq!(written.last_modified_by(), Some(guest.identity.as_str()));
    assert_eq!(written.device_last_modified_date, Some(date));
    let listed = guest.list(0).await;
    assert_eq!(listed.records(), [written]);
    assert_eq!(listed.count, 1);
    assert!(listed.dataset_exists());
    assert!(!listed.dataset_deleted_after_requested_sync_count());
    assert_eq!(listed.merged_dataset_names(), [] as [String; 0]);
    assert_eq!(listed.next_token(), None);
    assert_eq!(guest.list(1).await.records(), []);
}

#[tokio::test]
async fn a_conflict_has_its_type_and_its_words() {
    let server = Server::start().await;
    let guest = Guest::new(&server).await;
    guest.write(replace("1", 0)).await;
    let token = guest.list(1).await.sync_session_token.unwrap();
    let error = guest.update(&token, replace("2", 0)).await.unwrap_err();
    assert!(error.request_id().is_some());
    let UpdateRecordsError::ResourceConflictException(conflict) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        conflict.message(),
        "Current SyncCount for: level is: 1 not: 0"
    );
    // The conflict has not spent the session.
    let written = guest.update(&token, replace("2", 1)).await.unwrap();
    assert_eq!(written[0].sync_count, Some(2));
    let error = guest.update(&token, replace("3", 2)).await.unwrap_err();
    assert!(error.is_invalid_parameter_exception(), "{error:?}");
}

#[tokio::test]
async fn a_dataset_is_described_and_deleted() {
    let server = Server::start().await;
    let guest = Guest::new(&server).await;
    guest.write(replace("123", 0)).await;
    let described = guest
        .client
        .describe_dataset()
        .identity_pool_id(&guest.pool)
        .identity_id(&guest.identity)
        .dataset_name("game")
        .send()
        .await
        .unwrap()
        .dataset
        .unwrap();
    assert_eq!(described.dataset_name(), Some("game"));
    assert_eq!(described.data_storage, Some(8));
    assert_eq!(described.num_records, Some(1));
    assert!(described.creation_date().is_some());
    let delete = || {
        guest
            .client
            .delete_dataset()
            .identity_pool_id(&guest.pool)
            .identity_id(&guest.identity)
            .dataset_name("game")
            .send()
    };
    assert_eq!(delete().await.unwrap().dataset, Some(described));
    let listed = guest.list(1).await;
    assert!(!listed.dataset_exists());
    assert!(listed.dataset_deleted_after_requested_sync_count());
    assert_eq!(listed.dataset_sync_count, Some(2));
    let error = delete().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 404);
    let error = error.into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
}

#[tokio::test]
async fn errors_have_the_type_that_the_client_gives_them() {
    let server = Server::start().await;
    let guest = Guest::new(&server).await;
    let list = |client: &Client, since| {
        client
            .list_records()
            .identity_pool_id(&guest.pool)
            .identity_id(&guest.identity)
            .dataset_name("game")
            .last_sync_count(since)
            .send()
    };
    guest.write(replace("1", 0)).await;
    let error = list(&guest.client, 9).await.unwrap_err();
    let ListRecordsError::InvalidParameterException(invalid) = error.into_service_error() else {
        panic!("no InvalidParameterException");
    };
    let said = invalid.message();
    assert!(said.starts_with("No such SyncCount: 9"), "{said}");

    let stranger = server.client(Credentials::new(ROOT.0, "another", None, None, "stranger"));
    let error = list(&stranger, 0).await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 403);
    let error = error.into_service_error();
    assert_eq!(error.code(), Some("InvalidSignatureException"));

    let other = Guest::new(&server).await;
    let error = list(&other.client, 0).await.unwrap_err();
    let error = error.into_service_error();
    assert_eq!(error.code(), Some("AccessDeniedException"));

    let developer = server.client(Credentials::new(ROOT.0, ROOT.1, None, None, "developer"));
    let listed = list(&developer, 0).await.unwrap();
    assert_eq!(listed.count, 1);
}

/// `aws-sdk-kinesis` on the server's built-in streams.
fn kinesis(server: &Server) -> aws_sdk_kinesis::Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&server.url)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(ROOT.0, ROOT.1, None, None, "root"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_kinesis::Client::from_conf(config)
}

#[tokio::test]
async fn a_stream_tells_what_is_written() {
    let server = Server::start().await;
    let guest = Guest::new(&server).await;
    let root = server.client(Credentials::new(ROOT.0, ROOT.1, None, None, "root"));
    let streams = CognitoStreams::builder()
        .stream_name("changes")
        .streaming_status(StreamingStatus::Enabled)
        .build();
    root.set_identity_pool_configuration()
        .identity_pool_id(&guest.pool)
        .cognito_streams(streams)
        .send()
        .await
        .unwrap();
    let kinesis = kinesis(&server);
    let listed = kinesis.list_streams().send().await.unwrap();
    assert_eq!(listed.stream_names(), ["changes"]);
    let shards = kinesis.list_shards().stream_name("changes").send().await;
    let shard = shards.unwrap().shards()[0].shard_id().to_owned();
    let first = kinesis
        .get_shard_iterator()
        .stream_name("changes")
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon);
    let first = first.send().await.unwrap().shard_iterator;
    guest.write(replace("1", 0)).await;
    guest.write(replace("2", 1)).await;
    let page = kinesis.get_records().set_shard_iterator(first);
    let page = page.send().await.unwrap();
    let told = page.records().iter().map(|record| {
        assert_eq!(record.partition_key(), guest.identity);
        let envelope: Value = serde_json::from_slice(record.data().as_ref()).unwrap();
        envelope["kinesisSyncRecords"][0]["value"].clone()
    });
    assert_eq!(told.collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(page.millis_behind_latest(), Some(0));
    let next = kinesis
        .get_records()
        .set_shard_iterator(page.next_shard_iterator);
    assert!(next.send().await.unwrap().records().is_empty());
    let none = kinesis.describe_stream().stream_name("none").send().await;
    assert!(
        none.unwrap_err()
            .into_service_error()
            .is_resource_not_found_exception()
    );
}
