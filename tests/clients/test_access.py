"""Who may call what, over every operation that is implemented."""

import re

import pytest
from actors import Developer, User, client, refused, replace
from signed import call, identity_call, path, send

DENIED = re.compile(
    r"User: arn:aws:sts::000000000000:assumed-role/\w+/CognitoIdentityCredentials is not "
    r"authorized to perform: cognito-sync:(\w+) on resource: arn:aws:cognito-sync:us-east-1:"
    r"000000000000:identitypool/(.*)"
)
# Operation, method, what is behind the pool, whether an identity may call it.
SYNC = [
    ("ListIdentityPoolUsage", "GET", None, False),
    ("DescribeIdentityPoolUsage", "GET", [], False),
    ("DescribeIdentityUsage", "GET", ["identities", "{id}"], True),
    ("ListDatasets", "GET", ["identities", "{id}", "datasets"], True),
    ("DescribeDataset", "GET", ["identities", "{id}", "datasets", "notes"], True),
    ("ListRecords", "GET", ["identities", "{id}", "datasets", "notes", "records"], True),
    ("UpdateRecords", "POST", ["identities", "{id}", "datasets", "notes"], True),
    ("DeleteDataset", "DELETE", ["identities", "{id}", "datasets", "notes"], True),
]
IDENTITY_SIGNED = [
    "CreateIdentityPool",
    "DescribeIdentityPool",
    "ListIdentityPools",
    "GetOpenIdTokenForDeveloperIdentity",
]


def target(pool, identity, rest):
    if rest is None:
        return "/identitypools"
    return path(pool, *[identity if part == "{id}" else part for part in rest])


def ask(server, key, operation, method, pool, identity, rest, owner=None):
    body = b""
    if operation == "UpdateRecords":
        token = owner.dataset("notes").token()
        body = {"SyncSessionToken": token, "RecordPatches": [replace("a", "9", 1)]}
    return call(server, key, method, target(pool, identity, rest), body)


@pytest.mark.parametrize("operation, method, rest, allowed", SYNC)
def test_own_data_and_nothing_else(server, developer, pool, operation, method, rest, allowed):
    owner, stranger = developer.user(pool), developer.user(pool)
    abroad = developer.guest(developer.pool())
    owner.dataset("notes").update([replace("a", "1")])
    before = owner.dataset("notes").list()["Records"]
    for other in (stranger, abroad):
        answer = ask(server, other.key, operation, method, owner.pool, owner.identity, rest, owner)
        assert answer.error() == (403, "AccessDeniedException")
        message = answer.json()["message"]
        assert message == answer.json()["Message"]
        named, resource = DENIED.fullmatch(message).groups()
        assert named == operation
        if rest is None:
            assert resource == "*"
        else:
            expected = owner.pool
            if "{id}" in rest:
                expected += f"/identity/{owner.identity}"
            if operation == "ListDatasets":
                expected += "/dataset/null"
            elif "notes" in rest:
                expected += "/dataset/notes"
            assert resource == expected
    # An own identity named under a foreign pool is foreign.
    if rest and "{id}" in rest:
        answer = ask(server, owner.key, operation, method, abroad.pool, owner.identity, rest, owner)
        assert answer.error() == (403, "AccessDeniedException")
    assert owner.dataset("notes").list()["Records"] == before, "nobody changed anything"
    answer = ask(server, owner.key, operation, method, owner.pool, owner.identity, rest, owner)
    if allowed:
        assert answer.status == 200, answer.body
    else:
        assert answer.error() == (403, "AccessDeniedException")


@pytest.mark.parametrize("operation, method, rest, allowed", SYNC)
def test_the_developer_may_act_for_everyone(server, developer, guest, operation, method, rest, allowed):
    guest.dataset("notes").update([replace("a", "1")])
    answer = ask(
        server, developer.key, operation, method, guest.pool, guest.identity, rest, guest
    )
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("operation, method, rest, allowed", SYNC)
def test_what_does_not_exist_is_not_found(server, developer, guest, operation, method, rest, allowed):
    nowhere = "us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111"
    if rest is not None:
        answer = ask(server, developer.key, operation, method, nowhere, nowhere, rest, guest)
        assert answer.error() == (404, "ResourceNotFoundException")
        assert answer.json()["message"] == f"IdentityPool '{nowhere}' not found"
    if rest and "{id}" in rest:
        answer = ask(server, developer.key, operation, method, guest.pool, nowhere, rest, guest)
        assert answer.error() == (404, "ResourceNotFoundException")


@pytest.mark.parametrize("operation, method, rest, allowed", SYNC)
def test_every_operation_needs_a_right_signature(server, guest, operation, method, rest, allowed):
    guest.dataset("notes").update([replace("a", "1")])
    where = target(guest.pool, guest.identity, rest)
    answer = send(server, method, where)
    assert answer.error() == (403, "MissingAuthenticationTokenException")
    key_id, secret, token = guest.key
    wrong = [
        (key_id, secret + "x", token),
        (key_id, secret, token[:-2]),
        ("ASIAAAAAAAAAAAAAAAAA", secret, token),
        (key_id, secret, None),
        ("AKIDOFNOBODY", secret),
    ]
    texts = set()
    for key in wrong:
        answer = call(server, key, method, where)
        assert answer.error() == (403, "InvalidSignatureException")
        texts.add(answer.json()["message"].split("\n")[0])
    assert len(texts) == 1, "one cannot tell an unknown key from a wrong secret"
    answer = call(server, guest.key, method, where, service="cognito-identity")
    assert answer.error() == (403, "InvalidSignatureException")


@pytest.mark.parametrize("operation", IDENTITY_SIGNED)
def test_pools_and_users_are_the_developers(server, developer, pool, operation):
    body = {
        "IdentityPoolName": "mine",
        "AllowUnauthenticatedIdentities": True,
        "IdentityPoolId": pool,
        "MaxResults": 10,
        "Logins": {"login.example.app": "eve"},
    }
    user = developer.user(pool)
    answer = identity_call(server, user.key, operation, body)
    assert answer.error() == (400, "AccessDeniedException")
    assert f"cognito-identity:{operation}" in answer.json()["message"]
    answer = identity_call(server, None, operation, body)
    assert answer.error() == (400, "MissingAuthenticationTokenException")
    answer = identity_call(server, (developer.key[0], "wrong-secret"), operation, body)
    assert answer.error() == (400, "InvalidSignatureException")
    assert len(developer.pools()) == 1


def test_credentials_are_of_one_identity(developer, pool):
    """The token of one user with the key of another is nobody."""
    one, two = developer.user(pool), developer.user(pool)
    mixed = (one.key[0], one.key[1], two.key[2])
    sync = client("cognito-sync", developer.server.url, mixed)
    for user in (one, two):
        with refused("InvalidSignatureException", 403):
            sync.list_datasets(**user.names)


def test_a_user_is_not_reached_by_knowing_the_identity(developer, pool):
    user = developer.user(pool)
    message = f"Access to Identity '{user.identity}' is forbidden."
    with refused("NotAuthorizedException", 400, message):
        User(developer, pool, user.identity)
    eve = developer.user(pool)
    with refused("NotAuthorizedException", 400):
        User(developer, pool, user.identity, eve.logins)


def test_keys_of_another_server_are_unknown_here(make_server):
    here, there = Developer(make_server()), Developer(make_server())
    user = there.user(there.pool())
    user.reconnect(here.server)
    with refused("InvalidSignatureException", 403):
        user.dataset("notes").list()
    logins = user.logins
    user = here.user(here.pool())
    with refused("NotAuthorizedException", 400):
        User(here, user.pool, user.identity, logins)


def test_devices_are_for_identities_only(server, developer, guest):
    where = path(guest.pool, "identity", guest.identity, "device")
    answer = call(server, developer.key, "POST", where, {"Platform": "GCM", "Token": "t"})
    assert answer.error() == (403, "NotAuthorizedException")
    message = "These credentials are not valid for accessing this resource"
    assert answer.json()["message"] == message
