"""Who takes part: a developer with the root key, and users with temporary credentials.

Every answer that their clients get is checked against the API models.
"""

import itertools

import boto3
import model
from botocore.config import Config
from botocore.exceptions import ClientError
from server_process import ROOT_KEY

SESSION = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none")
# A test must see the first answer, and a busy one may wait long for it.
CONFIG = Config(retries={"total_max_attempts": 1}, read_timeout=600, max_pool_connections=1)
PROVIDER = "login.example.app"
NAMES = (f"user-{number}" for number in itertools.count(1))


def client(service, url, key=None):
    """A boto3 client whose answers are checked. `key`: id, secret and perhaps token."""
    key_id, secret, token = (*key, None)[:3] if key else (None, None, None)
    made = SESSION.client(
        service,
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=CONFIG,
    )
    made.meta.events.register(f"response-received.{service}", _check)
    return made


def _check(event_name, response_dict, **_):
    if response_dict is None:
        return
    _, service, operation = event_name.split(".")
    status, headers = response_dict["status_code"], response_dict["headers"]
    if status == 200:
        model.check_success(service, operation, response_dict["body"])
    else:
        model.check_error(service, operation, status, headers, response_dict["body"])


class Developer:
    """Has the root key."""

    def __init__(self, server):
        self.server = server
        self.key = ROOT_KEY
        self.sync = client("cognito-sync", server.url, ROOT_KEY)
        self.identity = client("cognito-identity", server.url, ROOT_KEY)

    def pool(self, guests=True, name="app", provider=PROVIDER):
        """Makes an identity pool; returns its id."""
        made = self.identity.create_identity_pool(
            IdentityPoolName=name,
            AllowUnauthenticatedIdentities=guests,
            DeveloperProviderName=provider,
        )
        return made["IdentityPoolId"]

    def pools(self):
        """All pools of the server, as short descriptions."""
        pages = self.identity.get_paginator("list_identity_pools").paginate(MaxResults=60)
        return [pool for page in pages for pool in page["IdentityPools"]]

    def guest(self, pool):
        """A new guest of the pool."""
        identity = self.identity.get_id(IdentityPoolId=pool)["IdentityId"]
        return User(self, pool, identity)

    def user(self, pool, name=None):
        """A user whom the developer's own login system knows."""
        answer = self.identity.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool, Logins={PROVIDER: name or next(NAMES)}
        )
        logins = {"cognito-identity.amazonaws.com": answer["Token"]}
        return User(self, pool, answer["IdentityId"], logins)

    def on(self, pool, identity, dataset):
        """The dataset of someone, reached with the root key."""
        return Dataset(self.sync, pool, identity, dataset)


class User:
    """Signs in, and has the credentials of one identity."""

    def __init__(self, developer, pool, identity, logins=None):
        self.pool = pool
        self.identity = identity
        self.names = {"IdentityPoolId": pool, "IdentityId": identity}
        self.logins = logins
        unsigned = client("cognito-identity", developer.server.url)
        asked = {"IdentityId": identity} | ({"Logins": logins} if logins else {})
        answer = unsigned.get_credentials_for_identity(**asked)
        assert answer["IdentityId"] == identity
        given = answer["Credentials"]
        self.expiration = given["Expiration"]
        self.key = (given["AccessKeyId"], given["SecretKey"], given["SessionToken"])
        self.reconnect(developer.server)

    def reconnect(self, server):
        """The same credentials on a server that may have another address now."""
        self.sync = client("cognito-sync", server.url, self.key)

    def dataset(self, name):
        """One of the user's own datasets."""
        return Dataset(self.sync, self.pool, self.identity, name)


class Dataset:
    """A dataset through the eyes of one client."""

    def __init__(self, sync, pool, identity, name):
        self.sync = sync
        self.names = {"IdentityPoolId": pool, "IdentityId": identity, "DatasetName": name}

    def list(self, since=0, **more):
        return self.sync.list_records(**self.names, LastSyncCount=since, **more)

    def token(self):
        return self.list()["SyncSessionToken"]

    def update(self, patches, token=None, **more):
        """Writes; opens a session first unless one is given."""
        answer = self.sync.update_records(
            **self.names, SyncSessionToken=token or self.token(), RecordPatches=patches, **more
        )
        return answer["Records"]

    def delete(self):
        return self.sync.delete_dataset(**self.names)["Dataset"]

    def describe(self):
        return self.sync.describe_dataset(**self.names)["Dataset"]

    def values(self):
        """What is there, tombstones as None."""
        return {record["Key"]: record.get("Value") for record in self.list()["Records"]}

    def counts(self):
        return {record["Key"]: record["SyncCount"] for record in self.list()["Records"]}


def replace(key, value, count=0, **more):
    return {"Op": "replace", "Key": key, "Value": value, "SyncCount": count, **more}


def remove(key, count, **more):
    return {"Op": "remove", "Key": key, "SyncCount": count, **more}


class refused:
    """Expects an error, and shows its name, status and message."""

    def __init__(self, name, status, message=None):
        self.expected = (name, status)
        self.text = message
        self.message = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert error is not None, f"{self.expected} was expected, and nothing was refused"
        if not isinstance(error, ClientError):
            return False
        response = error.response
        found = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
        self.message = response["Error"]["Message"]
        assert found == self.expected, self.message
        assert self.text in (None, self.message), self.message
        return True
