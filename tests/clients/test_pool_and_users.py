"""The whole of Cognito Identity, and STS, with boto3: what a developer does with pools and users."""

import pytest
from actors import PROVIDER, SESSION, client, refused, replace
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/app"


def arn(pool):
    return f"arn:aws:cognito-identity:us-east-1:000000000000:identitypool/{pool}"


def test_a_pool_is_updated_tagged_and_deleted(developer, pool):
    identity = developer.identity
    updated = identity.update_identity_pool(
        IdentityPoolId=pool, IdentityPoolName="new", AllowUnauthenticatedIdentities=True
    )
    assert updated["IdentityPoolName"] == "new"
    assert updated["DeveloperProviderName"] == PROVIDER
    identity.tag_resource(ResourceArn=arn(pool), Tags={"a": "1", "b": "2"})
    identity.untag_resource(ResourceArn=arn(pool), TagKeys=["a"])
    assert identity.list_tags_for_resource(ResourceArn=arn(pool))["Tags"] == {"b": "2"}
    guest = developer.guest(pool)
    guest.dataset("saves").update([replace("k", "v")])
    identity.delete_identity_pool(IdentityPoolId=pool)
    with refused("NotAuthorizedException", 403):
        guest.dataset("saves").list()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        identity.describe_identity_pool(IdentityPoolId=pool)


def test_roles_and_principal_tags_are_kept(developer, pool):
    roles = {
        "Roles": {"authenticated": ROLE},
        "RoleMappings": {"p": {"Type": "Token", "AmbiguousRoleResolution": "Deny"}},
    }
    developer.identity.set_identity_pool_roles(IdentityPoolId=pool, **roles)
    told = developer.identity.get_identity_pool_roles(IdentityPoolId=pool)
    assert {name: told[name] for name in roles} == roles
    tags = {"IdentityPoolId": pool, "IdentityProviderName": "p"}
    developer.identity.set_principal_tag_attribute_map(**tags, PrincipalTags={"team": "t"})
    told = developer.identity.get_principal_tag_attribute_map(**tags)
    assert told["PrincipalTags"] == {"team": "t"}


def test_identities_are_listed_described_and_deleted(developer, pool):
    ids = sorted(developer.guest(pool).identity for _ in range(5))
    found, more = [], {}
    while True:
        page = developer.identity.list_identities(IdentityPoolId=pool, MaxResults=2, **more)
        found += [identity["IdentityId"] for identity in page["Identities"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert found == ids
    told = developer.identity.describe_identity(IdentityId=ids[0])
    assert told["CreationDate"] == told["LastModifiedDate"]
    gone = developer.identity.delete_identities(IdentityIdsToDelete=ids)
    assert gone["UnprocessedIdentityIds"] == []
    page = developer.identity.list_identities(IdentityPoolId=pool, MaxResults=60)
    assert page["Identities"] == []


def test_users_are_looked_up_merged_and_unlinked(developer, pool):
    ann, bob = developer.user(pool, "ann"), developer.user(pool, "bob")
    bob.dataset("saves").update([replace("level", "7")])
    names = {"IdentityPoolId": pool, "DeveloperProviderName": PROVIDER}
    merged = developer.identity.merge_developer_identities(
        SourceUserIdentifier="bob", DestinationUserIdentifier="ann", **names
    )
    assert merged["IdentityId"] == ann.identity
    listed = ann.dataset("saves").list()
    assert listed["MergedDatasetNames"] == [f"saves.{bob.identity}"]
    with refused("NotAuthorizedException", 403):
        bob.dataset("saves").list()
    told = developer.identity.lookup_developer_identity(
        IdentityPoolId=pool, DeveloperUserIdentifier="bob"
    )
    assert told["IdentityId"] == ann.identity
    assert told["DeveloperUserIdentifierList"] == ["ann", "bob"]
    developer.identity.unlink_developer_identity(
        IdentityId=ann.identity, DeveloperUserIdentifier="bob", **names
    )
    assert developer.user(pool, "bob").identity not in (ann.identity, bob.identity)
    unsigned = client("cognito-identity", developer.server.url)
    unsigned.unlink_identity(
        IdentityId=ann.identity, Logins=ann.logins, LoginsToRemove=[PROVIDER]
    )
    assert developer.user(pool, "ann").identity != ann.identity


@pytest.mark.parametrize("who", ["guest", "user"])
def test_the_basic_flow(developer, pool, who):
    user = getattr(developer, who)(pool)
    unsigned = client("cognito-identity", developer.server.url)
    logins = {"Logins": user.logins} if user.logins else {}
    token = unsigned.get_open_id_token(IdentityId=user.identity, **logins)["Token"]
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    sts = SESSION.client(
        "sts", region_name="us-east-1", endpoint_url=developer.server.url, config=config
    )
    asked = {"RoleArn": ROLE, "RoleSessionName": "app", "WebIdentityToken": token}
    answer = sts.assume_role_with_web_identity(**asked)
    assert answer["SubjectFromWebIdentityToken"] == user.identity
    assert answer["Audience"] == pool
    assert answer["AssumedRoleUser"]["Arn"].endswith(":assumed-role/app/app")
    given = answer["Credentials"]
    assert given["Expiration"] >= user.expiration.replace(microsecond=0)
    key = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    user.sync = client("cognito-sync", developer.server.url, key)
    user.dataset("saves").update([replace("k", "v")])
    with pytest.raises(sts.exceptions.InvalidIdentityTokenException):
        sts.assume_role_with_web_identity(**asked | {"WebIdentityToken": "nonsense"})
    developer.identity.delete_identities(IdentityIdsToDelete=[user.identity])
    with pytest.raises(ClientError, match="AccessDenied") as refusal:
        sts.assume_role_with_web_identity(**asked)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_guest_that_signs_in_is_merged_into_its_user(developer, pool):
    guest, user = developer.guest(pool), developer.user(pool)
    guest.dataset("saves").update([replace("k", "v")])
    unsigned = client("cognito-identity", developer.server.url)
    answer = unsigned.get_credentials_for_identity(
        IdentityId=guest.identity, Logins=user.logins
    )
    assert answer["IdentityId"] == user.identity
    name = f"saves.{guest.identity}"
    assert user.dataset("saves").list()["MergedDatasetNames"] == [name]
    assert [r["Value"] for r in user.dataset(name).list()["Records"]] == ["v"]
