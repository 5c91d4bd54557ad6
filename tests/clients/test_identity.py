"""Signing in, with boto3: pools, guests, the developer's own users, and their tokens."""

import base64
import json

import pytest
from actors import PROVIDER, Developer, User, client, refused, replace
from signed import send


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def sign_in(developer, pool, name, **more):
    return developer.identity.get_open_id_token_for_developer_identity(
        IdentityPoolId=pool, Logins={PROVIDER: name}, **more
    )


def test_a_pool_is_told_as_it_was_made(developer):
    asked = {
        "IdentityPoolName": "My game 1.0 (beta)".replace("(", "@").replace(")", ""),
        "AllowUnauthenticatedIdentities": False,
        "AllowClassicFlow": True,
        "DeveloperProviderName": "login.game",
        "SupportedLoginProviders": {"accounts.example.com": "client-1"},
        "OpenIdConnectProviderARNs": ["arn:aws:iam::000000000000:oidc-provider/example.org"],
        "IdentityPoolTags": {"stage": "test"},
    }
    made = developer.identity.create_identity_pool(**asked)
    told = developer.identity.describe_identity_pool(IdentityPoolId=made["IdentityPoolId"])
    for answer in (made, told):
        assert {name: answer[name] for name in asked} == asked
    region, uuid = made["IdentityPoolId"].split(":")
    assert region == "us-east-1" and uuid == uuid.lower() and len(uuid) == 36


def test_a_pool_without_guests_has_none(developer):
    pool = developer.pool(guests=False)
    text = "Unauthenticated access is not supported for this identity pool."
    with refused("NotAuthorizedException", 400, text):
        developer.identity.get_id(IdentityPoolId=pool)
    user = developer.user(pool)
    user.dataset("notes").update([replace("a", "1")])


def test_credentials_last_an_hour(guest, server):
    answer = client("cognito-identity", server.url).get_credentials_for_identity(
        IdentityId=guest.identity
    )
    given = answer["Credentials"]
    date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
    from email.utils import parsedate_to_datetime

    left = (given["Expiration"] - parsedate_to_datetime(date)).total_seconds()
    assert 3595 <= left <= 3605
    assert given["AccessKeyId"].startswith("ASIA") and len(given["AccessKeyId"]) == 20


def test_the_token_of_a_developers_user(developer, pool, server):
    answer = sign_in(developer, pool, "ann", TokenDuration=86400)
    told = claims(answer["Token"])
    assert told["sub"] == answer["IdentityId"]
    assert told["aud"] == pool
    assert told["amr"] == ["authenticated", PROVIDER, f"{PROVIDER}:{pool}:ann"]
    assert told["exp"] - told["iat"] == 86400
    assert told["iss"] == server.url
    header = json.loads(base64.urlsafe_b64decode(answer["Token"].split(".")[0] + "=="))
    assert header["alg"] == "RS512"
    keys = send(server, "GET", "/.well-known/jwks.json").json()["keys"]
    assert header["kid"] in {key["kid"] for key in keys}


def test_users_and_identities_belong_together(developer, pool):
    ann = sign_in(developer, pool, "ann")["IdentityId"]
    assert sign_in(developer, pool, "ann")["IdentityId"] == ann
    assert sign_in(developer, pool, "ann", IdentityId=ann)["IdentityId"] == ann
    bob = sign_in(developer, pool, "bob")["IdentityId"]
    assert bob != ann
    with refused("DeveloperUserAlreadyRegisteredException", 400):
        sign_in(developer, pool, "ann", IdentityId=bob)
    assert sign_in(developer, pool, "ann again", IdentityId=ann)["IdentityId"] == ann
    other = developer.pool()
    assert sign_in(developer, other, "ann")["IdentityId"] != ann


def test_a_guest_becomes_a_user_and_keeps_his_data(developer, pool):
    guest = developer.guest(pool)
    guest.dataset("notes").update([replace("a", "1")])
    token = sign_in(developer, pool, "carl", IdentityId=guest.identity)["Token"]
    user = User(developer, pool, guest.identity, {"cognito-identity.amazonaws.com": token})
    assert user.dataset("notes").values() == {"a": "1"}
    text = f"Access to Identity '{guest.identity}' is forbidden."
    with refused("NotAuthorizedException", 400, text):
        User(developer, pool, guest.identity)


def test_get_id_with_a_token_finds_its_identity(developer, pool, server):
    answer = sign_in(developer, pool, "ann")
    logins = {"cognito-identity.amazonaws.com": answer["Token"]}
    unsigned = client("cognito-identity", server.url)
    assert unsigned.get_id(IdentityPoolId=pool, Logins=logins)["IdentityId"] == answer["IdentityId"]
    with refused("NotAuthorizedException", 400):
        unsigned.get_id(IdentityPoolId=developer.pool(), Logins=logins)


def test_what_is_no_login_is_refused(developer, pool, server):
    unsigned = client("cognito-identity", server.url)
    answer = sign_in(developer, pool, "ann")
    head, body, seal = answer["Token"].split(".")
    told = claims(answer["Token"]) | {"sub": "us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111"}
    forged = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
    unsealed = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    for token in ("x", f"{head}.{forged}.{seal}", f"{unsealed}.{body}.", answer["Token"][:-8]):
        for ask in (
            lambda logins: unsigned.get_id(IdentityPoolId=pool, Logins=logins),
            lambda logins: unsigned.get_credentials_for_identity(
                IdentityId=answer["IdentityId"], Logins=logins
            ),
        ):
            with refused("NotAuthorizedException", 400):
                ask({"cognito-identity.amazonaws.com": token})
    with refused("NotAuthorizedException", 400):
        unsigned.get_id(IdentityPoolId=pool, Logins={"graph.facebook.com": "token"})


def test_a_web_identity_token_is_for_others(developer, pool, server):
    unsigned = client("cognito-identity", server.url)
    guest = developer.guest(pool)
    answer = unsigned.get_open_id_token(IdentityId=guest.identity)
    told = claims(answer["Token"])
    assert (told["sub"], told["aud"]) == (guest.identity, pool)
    assert told["exp"] - told["iat"] == 600
    assert told["amr"] == ["unauthenticated"]


@pytest.mark.parametrize("asked", [{"TokenDuration": 0}, {"TokenDuration": 86401},
                                   {"Logins": {}}, {"Logins": {"login.other": "ann"}}])
def test_developer_sign_in_is_checked(developer, pool, asked):
    from botocore.exceptions import ClientError, ParamValidationError

    body = {"IdentityPoolId": pool, "Logins": {PROVIDER: "ann"}} | asked
    with pytest.raises((ClientError, ParamValidationError)) as refusal:
        developer.identity.get_open_id_token_for_developer_identity(**body)
    if isinstance(refusal.value, ClientError):
        response = refusal.value.response
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
        names = ("InvalidParameterException", "NotAuthorizedException")
        assert response["Error"]["Code"] in names


def test_credentials_and_tokens_outlive_a_crash(server, developer, pool):
    answer = sign_in(developer, pool, "ann")
    logins = {"cognito-identity.amazonaws.com": answer["Token"]}
    user = User(developer, pool, answer["IdentityId"], logins)
    server.restart()
    user.reconnect(server)
    user.dataset("notes").update([replace("a", "1")])
    developer = Developer(server)
    again = User(developer, pool, answer["IdentityId"], logins)
    assert again.dataset("notes").values() == {"a": "1"}
