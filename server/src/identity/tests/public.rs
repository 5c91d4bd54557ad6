//! Users of OpenID Connect providers: signing in, linking, merging, and attempts to take over.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::*;
use crate::fixture::{User, replace};
use crate::identity::logins as proofs;
use crate::providers::tests::{Issuer, TestKey, claims};

/// A server that knows the providers `accounts.example` and `other.example`, which share a key.
struct Public {
    fixture: Fixture,
    key: TestKey,
    _issuer: Issuer,
}

impl Public {
    async fn new() -> Self {
        let key = TestKey::rsa("k", Algorithm::RS256);
        let issuer = Issuer::start(&[&key]).await;
        let mut config = Config::default();
        for name in ["accounts.example", "other.example", "example.org/pool"] {
            config.openid.insert(name.to_owned(), issuer.config());
        }
        config.check().unwrap();
        Self {
            fixture: Fixture::with(config, 1 << 20),
            key,
            _issuer: issuer,
        }
    }

    async fn pool(&self) -> String {
        let body = json!({
            "IdentityPoolName": "game", "AllowUnauthenticatedIdentities": true,
            "DeveloperProviderName": "login.game",
            "SupportedLoginProviders": { "accounts.example": "app", "other.example": "x;app" },
        });
        let made = self.fixture.identity("CreateIdentityPool", body).await;
        text(&made.unwrap(), "IdentityPoolId")
    }

    fn token(&self, user: &str) -> String {
        self.key.sign(&claims(user))
    }

    /// A map of logins: provider and user.
    fn logins(&self, users: &[(&str, &str)]) -> Value {
        let pairs = users
            .iter()
            .map(|(provider, user)| ((*provider).to_owned(), json!(self.token(user))));
        Value::Object(pairs.collect())
    }

    async fn get_id(&self, pool: &str, users: &[(&str, &str)]) -> Result<String, ApiError> {
        let body = json!({ "IdentityPoolId": pool, "Logins": self.logins(users) });
        let answer = self.fixture.identity_as(None, "GetId", body).await?;
        Ok(text(&answer, "IdentityId"))
    }

    async fn sign_in(
        &self,
        pool: &str,
        identity: &str,
        users: &[(&str, &str)],
    ) -> Result<User<'_>, ApiError> {
        let body = json!({ "IdentityId": identity, "Logins": self.logins(users) });
        let answer = self
            .fixture
            .identity_as(None, "GetCredentialsForIdentity", body)
            .await?;
        Ok(User {
            fixture: &self.fixture,
            pool: pool.to_owned(),
            identity: text(&answer, "IdentityId"),
            caller: self.fixture.caller(&answer).unwrap(),
        })
    }
}

const ANN: (&str, &str) = ("accounts.example", "ann");
const ANN_TOO: (&str, &str) = ("other.example", "ann2");
const BOB: (&str, &str) = ("accounts.example", "bob");

#[tokio::test]
async fn a_user_signs_in_by_a_provider_that_the_pool_names() {
    let public = Public::new().await;
    let pool = public.pool().await;
    let ann = public.get_id(&pool, &[ANN]).await.unwrap();
    assert_eq!(public.get_id(&pool, &[ANN]).await.unwrap(), ann);
    assert_ne!(public.get_id(&pool, &[BOB]).await.unwrap(), ann);
    let user = public.sign_in(&pool, &ann, &[ANN]).await.unwrap();
    assert_eq!(user.identity, ann);
    let Caller::Identity { authenticated, .. } = user.caller else {
        panic!("not an identity");
    };
    assert!(authenticated);
    let body = json!({ "IdentityId": ann });
    let described = public
        .fixture
        .identity("DescribeIdentity", body)
        .await
        .unwrap();
    assert_eq!(described["Logins"], json!(["accounts.example"]));
    let other = public.pool().await;
    assert_ne!(
        public.get_id(&other, &[ANN]).await.unwrap(),
        ann,
        "pools are apart"
    );
}

#[tokio::test]
async fn a_pool_takes_only_what_it_names() {
    let public = Public::new().await;
    let arn = "arn:aws:iam::000000000000:oidc-provider/example.org/pool";
    let with = async |settings: Value| {
        let mut body = json!({
            "IdentityPoolName": "p", "AllowUnauthenticatedIdentities": false,
        });
        body.as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        let made = public
            .fixture
            .identity("CreateIdentityPool", body)
            .await
            .unwrap();
        text(&made, "IdentityPoolId")
    };
    let user_pool = |client: &str| {
        let provider = "accounts.example";
        json!({ "CognitoIdentityProviders": [{ "ProviderName": provider, "ClientId": client }] })
    };
    let named = ("example.org/pool", "ann");
    let short = ("pool", "ann");
    for (settings, user, is_taken) in [
        (
            json!({ "SupportedLoginProviders": { "accounts.example": "app" } }),
            ANN,
            true,
        ),
        (
            json!({ "SupportedLoginProviders": { "accounts.example": "ap;pp" } }),
            ANN,
            false,
        ),
        (
            json!({ "SupportedLoginProviders": { "accounts.example": "app" } }),
            ANN_TOO,
            false,
        ),
        (user_pool("app"), ANN, true),
        (user_pool("other"), ANN, false),
        (json!({ "OpenIdConnectProviderARNs": [arn] }), named, true),
        (json!({ "OpenIdConnectProviderARNs": [arn] }), short, false),
        (json!({ "SamlProviderARNs": [arn] }), named, false),
        (
            json!({ "DeveloperProviderName": "accounts.example" }),
            ANN,
            false,
        ),
        (json!({}), ANN, false),
    ] {
        let pool = with(settings.clone()).await;
        let answer = public.get_id(&pool, &[user]).await;
        match answer {
            Ok(_) => assert!(is_taken, "{settings} {user:?}"),
            Err(error) => {
                assert!(!is_taken, "{settings} {user:?}: {error}");
                assert_eq!(error, crate::providers::unsupported());
            }
        }
    }
}

#[tokio::test]
async fn a_guest_keeps_its_id_and_data_when_it_signs_in() {
    let public = Public::new().await;
    let pool = public.pool().await;
    let guest = public.fixture.guest(&pool).await;
    guest
        .update("saves", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    let user = public
        .sign_in(&pool, &guest.identity, &[ANN, ANN_TOO])
        .await
        .unwrap();
    assert_eq!(user.identity, guest.identity);
    assert_eq!(user.list("saves", "").await.unwrap()["DatasetSyncCount"], 1);
    assert_eq!(
        public.get_id(&pool, &[ANN_TOO]).await.unwrap(),
        guest.identity
    );
    let body = json!({ "IdentityId": guest.identity });
    let call = public.fixture.identity("GetCredentialsForIdentity", body);
    assert_eq!(call.await.unwrap_err(), access::forbidden(&guest.identity));
}

#[tokio::test]
async fn logins_that_come_together_belong_together() {
    let public = Public::new().await;
    let pool = public.pool().await;
    let ann = public.get_id(&pool, &[ANN]).await.unwrap();
    assert_eq!(public.get_id(&pool, &[ANN_TOO, ANN]).await.unwrap(), ann);
    assert_eq!(public.get_id(&pool, &[ANN_TOO]).await.unwrap(), ann);
    let developer = json!({
        "IdentityPoolId": pool,
        "Logins": { "login.game": "ann", "other.example": public.token("ann2") },
    });
    let call = public
        .fixture
        .identity("GetOpenIdTokenForDeveloperIdentity", developer);
    assert_eq!(call.await.unwrap()["IdentityId"], *ann);
    assert_eq!(developer_token(&public.fixture, &pool, "ann").await.0, ann);
}

#[tokio::test]
async fn two_identities_of_one_user_become_the_older_one() {
    let public = Public::new().await;
    let pool = public.pool().await;
    let older = public.get_id(&pool, &[ANN]).await.unwrap();
    public.fixture.pass_ms(1);
    let younger = public.get_id(&pool, &[ANN_TOO]).await.unwrap();
    let user = public.sign_in(&pool, &younger, &[ANN_TOO]).await.unwrap();
    user.update("saves", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    // The one that is named is the younger; both are proved.
    let merged = public
        .sign_in(&pool, &younger, &[ANN_TOO, ANN])
        .await
        .unwrap();
    assert_eq!(merged.identity, older);
    let report = merged.list("saves", "").await.unwrap();
    assert_eq!(
        report["MergedDatasetNames"],
        json!([format!("saves.{younger}")])
    );
    assert_eq!(
        user.list("saves", "").await.unwrap_err(),
        access::forbidden(&younger)
    );
    // A second device still names the younger one.
    let second = public.sign_in(&pool, &younger, &[ANN_TOO]).await.unwrap();
    assert_eq!(second.identity, older);
}

#[tokio::test]
async fn knowing_an_id_is_not_enough_to_take_an_identity_over() {
    let public = Public::new().await;
    let pool = public.pool().await;
    let ann = public.get_id(&pool, &[ANN]).await.unwrap();
    let bob = public.get_id(&pool, &[BOB]).await.unwrap();
    let user = public.sign_in(&pool, &ann, &[ANN]).await.unwrap();
    user.update("saves", json!([replace("k", "v", 0)]))
        .await
        .unwrap();
    let new = ("other.example", "new");
    for (named, users) in [
        // A login of another identity, a new one, and both.
        (&ann, &[BOB][..]),
        (&ann, &[new]),
        (&ann, &[BOB, new]),
        // The other way round.
        (&bob, &[ANN]),
    ] {
        for operation in [
            "GetCredentialsForIdentity",
            "GetOpenIdToken",
            "UnlinkIdentity",
        ] {
            let body = json!({
                "IdentityId": named, "Logins": public.logins(users),
                "LoginsToRemove": ["accounts.example"],
            });
            let call = public.fixture.identity_as(None, operation, body);
            assert_eq!(
                call.await.unwrap_err(),
                proofs::no_match(),
                "{operation} {users:?}"
            );
        }
    }
    assert_eq!(public.get_id(&pool, &[ANN]).await.unwrap(), ann);
    assert_eq!(public.get_id(&pool, &[BOB]).await.unwrap(), bob);
    user.list("saves", "").await.unwrap();
    assert_ne!(
        public.get_id(&pool, &[new]).await.unwrap(),
        ann,
        "nothing was linked"
    );
    // Whether an identity exists, and what its pool trusts, is not told either.
    let nobody = "us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111";
    let named = ("example.org/pool", "stranger");
    for users in [&[BOB][..], &[new], &[named]] {
        for identity in [ann.as_str(), nobody] {
            let error = public.sign_in(&pool, identity, users).await.err().unwrap();
            assert_eq!(error, proofs::no_match(), "{identity} {users:?}");
        }
    }
}

#[tokio::test]
async fn an_identity_has_one_user_of_each_public_provider() {
    let public = Public::new().await;
    let pool = public.pool().await;
    let ann = public.get_id(&pool, &[ANN, ANN_TOO]).await.unwrap();
    public.fixture.pass_ms(1);
    let bob = public.get_id(&pool, &[BOB]).await.unwrap();
    // Both are proved, but the one that is left would be two users of one provider.
    let error = public
        .sign_in(&pool, &bob, &[BOB, ANN_TOO])
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind.name(), "ResourceConflictException");
    let new = ("accounts.example", "new");
    let error = public.get_id(&pool, &[new, ANN_TOO]).await.unwrap_err();
    assert_eq!(error.kind.name(), "ResourceConflictException");
    assert_eq!(public.get_id(&pool, &[BOB]).await.unwrap(), bob);
    assert_eq!(public.get_id(&pool, &[ANN_TOO]).await.unwrap(), ann);
}

#[tokio::test]
async fn an_unlinked_login_is_new_the_next_time() {
    let public = Public::new().await;
    let pool = public.pool().await;
    let ann = public.get_id(&pool, &[ANN, ANN_TOO]).await.unwrap();
    let unlink = json!({
        "IdentityId": ann, "Logins": public.logins(&[ANN]),
        "LoginsToRemove": ["other.example"],
    });
    public
        .fixture
        .identity_as(None, "UnlinkIdentity", unlink)
        .await
        .unwrap();
    assert_ne!(public.get_id(&pool, &[ANN_TOO]).await.unwrap(), ann);
    assert_eq!(public.get_id(&pool, &[ANN]).await.unwrap(), ann);
    let unlink = json!({
        "IdentityId": ann, "Logins": public.logins(&[ANN]),
        "LoginsToRemove": ["accounts.example"],
    });
    public
        .fixture
        .identity_as(None, "UnlinkIdentity", unlink)
        .await
        .unwrap();
    // It is out of reach, and no login, new or known, brings it back.
    let error = public.sign_in(&pool, &ann, &[BOB]).await.err().unwrap();
    assert_eq!(error, proofs::no_match());
    let body = json!({ "IdentityId": ann });
    let call = public.fixture.identity("GetCredentialsForIdentity", body);
    assert_eq!(call.await.unwrap_err(), access::forbidden(&ann));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_devices_that_sign_in_at_once_end_with_one_identity_and_all_data() {
    let public = Public::new().await;
    let pool = public.pool().await;
    for round in 0..8 {
        let user = format!("user{round}");
        let logins = public.logins(&[("accounts.example", &user)]);
        let mut guests = Vec::new();
        for _ in 0..2 {
            let guest = public.fixture.guest(&pool).await;
            guest
                .update("saves", json!([replace("k", &guest.identity, 0)]))
                .await
                .unwrap();
            guests.push(guest.identity);
        }
        let calls: Vec<_> = guests
            .iter()
            .map(|guest| {
                let body = json!({ "IdentityId": guest, "Logins": logins }).to_string();
                let site = public.fixture.site.clone();
                tokio::spawn(async move {
                    let operation = IdentityOperation::GetCredentialsForIdentity;
                    answer(&site, None, operation, body.as_bytes()).await
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        let winner = public
            .get_id(&pool, &[("accounts.example", &user)])
            .await
            .unwrap();
        let loser = guests.iter().find(|guest| **guest != winner).unwrap();
        let device = public
            .sign_in(&pool, &winner, &[("accounts.example", &user)])
            .await
            .unwrap();
        let own = device.list("saves", "").await.unwrap();
        assert_eq!(own["Records"][0]["Value"], *winner);
        let name = format!("saves.{loser}");
        assert_eq!(own["MergedDatasetNames"], json!([name]));
        let copy = device.list(&name, "").await.unwrap();
        assert_eq!(copy["Records"][0]["Value"], **loser);
    }
}
