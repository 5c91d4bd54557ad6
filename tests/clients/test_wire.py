"""Answers byte by byte, as old mobile clients and browsers read them."""

import json
import socket
import uuid

import pytest
from actors import Developer, remove, replace
from signed import call, identity_call, path, send


def where(guest, *rest):
    return path(guest.pool, "identities", guest.identity, "datasets", *rest)


def test_headers_are_spelled_as_old_clients_look_for_them(server, guest):
    missing = call(server, guest.key, "GET", where(guest, "nothing"))
    assert missing.status == 404
    assert missing.header("x-amzn-ErrorType").startswith("ResourceNotFoundException")
    assert missing.header("x-amzn-ErrorMessage") == missing.json()["message"]
    found = call(server, guest.key, "GET", where(guest))
    assert found.status == 200
    for answer in (missing, found):
        uuid.UUID(answer.header("x-amzn-RequestId"))
        assert answer.header("Content-Type").startswith("application/json")
        assert answer.header("Access-Control-Allow-Origin") == "*"
        exposed = answer.header("Access-Control-Expose-Headers")
        assert {name.strip() for name in exposed.split(",")} >= {
            "x-amzn-RequestId", "x-amzn-ErrorType", "x-amzn-ErrorMessage", "Date"
        }
        assert answer.header("Date")


def test_errors_of_the_identity_api(server):
    nowhere = "us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111"
    answer = identity_call(server, None, "GetId", {"IdentityPoolId": nowhere})
    assert answer.error() == (400, "ResourceNotFoundException")
    body = answer.json()
    assert body["__type"] == "ResourceNotFoundException"
    assert body["message"] == body["Message"] == f"IdentityPool '{nowhere}' not found"
    assert answer.header("Content-Type") == "application/x-amz-json-1.1"
    answer = identity_call(server, None, "GetIdol", {})
    assert answer.status == 400 and answer.json()["__type"] == "UnknownOperationException"


def test_members_that_clients_read_unguarded_are_always_there(server, guest):
    """On the raw JSON, since boto3 drops nulls and fills in nothing."""
    notes = guest.dataset("notes")

    def listing():
        return call(server, guest.key, "GET", where(guest, "notes", "records")).json()

    always = {
        "Records", "Count", "DatasetSyncCount", "DatasetExists",
        "DatasetDeletedAfterRequestedSyncCount", "SyncSessionToken",
    }
    never = listing()
    assert set(never) == always
    assert never["Records"] == []
    notes.update([replace("a", "1"), remove("b", 0)])
    live = listing()
    assert set(live) == always | {"LastModifiedBy"}
    record, tombstone = live["Records"]
    common = {"Key", "SyncCount", "LastModifiedDate", "LastModifiedBy", "DeviceLastModifiedDate"}
    assert set(record) == common | {"Value"}
    assert set(tombstone) == common
    page = call(server, guest.key, "GET", where(guest, "notes", "records") + "?maxResults=1").json()
    assert set(page) == always | {"LastModifiedBy", "NextToken"}
    dataset = call(server, guest.key, "GET", where(guest, "notes")).json()["Dataset"]
    members = {
        "IdentityId", "DatasetName", "CreationDate", "LastModifiedDate", "LastModifiedBy",
        "DataStorage", "NumRecords",
    }
    assert set(dataset) == members
    listed = call(server, guest.key, "GET", where(guest)).json()
    assert set(listed) == {"Datasets", "Count"}
    assert listed["Datasets"] == [dataset]
    notes.delete()
    assert set(listing()) == always
    empty = call(server, guest.key, "GET", where(guest)).json()
    assert empty == {"Datasets": [], "Count": 0}


def test_times_are_seconds_with_milliseconds(server, guest):
    guest.dataset("notes").update([replace("a", "1", DeviceLastModifiedDate=1700574875.74)])
    raw = call(server, guest.key, "GET", where(guest, "notes", "records"))
    record = json.loads(raw.body, parse_float=str)["Records"][0]
    assert record["DeviceLastModifiedDate"] == "1700574875.74"


@pytest.mark.parametrize("raw_colon", [True, False])
def test_colons_come_raw_or_encoded(server, guest, raw_colon):
    guest.dataset("a:b").update([replace("k", "v")])
    target = path(guest.pool, "identities", guest.identity, "datasets", "a:b", raw_colon=raw_colon)
    assert ("%3A" in target) != raw_colon
    answer = call(server, guest.key, "GET", target)
    assert answer.status == 200, answer.body
    assert answer.json()["Dataset"]["DatasetName"] == "a:b"


CONTENT_TYPES = [None, "application/json", "application/x-amz-json-1.1", "text/plain; charset=x"]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_content_types_do_not_matter(server, guest, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    listed = call(server, guest.key, "GET", where(guest, "notes", "records"), headers=headers)
    body = {
        "SyncSessionToken": listed.json()["SyncSessionToken"],
        "RecordPatches": [replace("k", "v")],
    }
    answer = call(server, guest.key, "POST", where(guest, "notes"), body, headers)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_operations_without_input_take_an_empty_object(server, guest, body):
    guest.dataset("notes").update([replace("k", "v")])
    answer = call(server, guest.key, "GET", where(guest, "notes"), body)
    assert answer.status == 200, answer.body
    answer = call(server, guest.key, "DELETE", where(guest, "notes"), body)
    assert answer.status == 200, answer.body


def test_members_of_later_models_are_skipped(server, guest):
    notes = guest.dataset("notes")
    body = {
        "SyncSessionToken": notes.token(),
        "RecordPatches": [replace("k", "v", Colour="blue", Nested={"a": [1, None]})],
        "Later": True,
    }
    answer = call(
        server, guest.key, "POST", where(guest, "notes"), body, {"x-amz-Client-Context": "e30="}
    )
    assert answer.status == 200, answer.body
    assert notes.values() == {"k": "v"}


def test_browsers_may_ask(server):
    wanted = (
        "authorization,content-type,x-amz-date,x-amz-security-token,x-amz-user-agent,"
        "x-amz-content-sha256,amz-sdk-invocation-id,amz-sdk-request"
    )
    headers = {
        "Origin": "https://game.example",
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": wanted,
    }
    answer = send(server, "OPTIONS", "/identitypools/a/identities/b/datasets/c", headers=headers)
    assert answer.status in (200, 204)
    allowed = answer.header("Access-Control-Allow-Headers").lower().replace(" ", "")
    assert set(wanted.split(",")) <= set(allowed.split(",")) or allowed == "*"
    methods = answer.header("Access-Control-Allow-Methods")
    assert all(method in methods for method in ("GET", "POST", "DELETE"))


UNKNOWN = [
    ("GET", "/", 404),
    ("GET", "/nothing", 404),
    ("PUT", "/identitypools", 405),
    ("GET", "/identitypools/", 404),
    ("GET", "/IdentityPools", 404),
]


@pytest.mark.parametrize("method, target, status", UNKNOWN)
def test_unknown_paths_and_methods(server, method, target, status):
    answer = call(server, ("AKIDSYNCLINETESTS", "x" * 20), method, target)
    assert answer.status == status
    assert answer.json()["__type"] in ("UnknownOperationException", "MethodNotAllowedException")


def test_names_of_the_wrong_form_are_named(server, developer, guest):
    for pool in ("us-east-1:ABC", "nowhere", "x" * 56, "a:b c"):
        answer = call(server, developer.key, "GET", path(pool))
        assert answer.error() == (400, "InvalidParameterException"), pool
        assert "identityPoolId" in answer.json()["message"]
    answer = call(server, developer.key, "GET", path(guest.pool, "identities", "x:Y"))
    assert answer.error() == (400, "InvalidParameterException")
    assert "identityId" in answer.json()["message"]


@pytest.mark.parametrize(
    "query",
    ["lastSyncCount=x", "maxResults=1.5", "lastSyncCount=-1", "lastSyncCount=99999999999999999999"],
)
def test_queries_of_the_wrong_form_are_refused(server, guest, query):
    answer = call(server, guest.key, "GET", where(guest, "notes", "records") + "?" + query)
    assert answer.status == 400
    assert answer.error()[1] in ("InvalidParameterException", "SerializationException")


def test_a_body_changed_on_its_way_is_refused(server, guest):
    notes = guest.dataset("notes")
    body = json.dumps({"SyncSessionToken": notes.token(), "RecordPatches": [replace("k", "v")]})
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    answer = call(server, guest.key, "POST", where(guest, "notes"), body, headers)
    assert answer.status in (400, 403), "a body must be bound to its signature"
    assert notes.list()["DatasetExists"] is False


def test_garbage_on_the_socket_ends_only_itself(server, guest):
    for noise in (b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00", b"\r\n" * 50):
        with socket.create_connection(server.address) as connection:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    guest.dataset("notes").update([replace("k", "v")])


def test_health_and_key_set_are_open(server):
    assert send(server, "GET", "/healthz").status == 200
    assert send(server, "GET", "/metrics").status == 200
    keys = send(server, "GET", "/.well-known/jwks.json").json()["keys"]
    assert keys and all(key["kty"] == "RSA" and "d" not in key for key in keys)


def test_the_server_makes_its_own_key_when_none_is_given(make_server):
    server = make_server(environment={})
    text = (server.data / "credentials").read_text()
    assert (server.data / "credentials").stat().st_mode & 0o777 == 0o600
    pairs = dict(line.split(" = ") for line in text.splitlines() if " = " in line)
    developer = Developer(server)
    developer.key = (pairs["aws_access_key_id"], pairs["aws_secret_access_key"])
    answer = call(server, developer.key, "GET", "/identitypools")
    assert answer.status == 200, answer.body
    answer = call(server, ("AKIDSYNCLINETESTS", "x" * 20), "GET", "/identitypools")
    assert answer.error() == (403, "InvalidSignatureException")
    server.restart()
    assert call(server, developer.key, "GET", "/identitypools").status == 200


def test_files_are_private_and_held_by_one_process(server, guest):
    guest.dataset("notes").update([replace("k", "v")])
    for found in [server.data, *server.data.rglob("*")]:
        expected = 0o700 if found.is_dir() else 0o600
        assert found.stat().st_mode & 0o777 == expected, found
    second = type(server)(server.directory)
    try:
        second.start()
        started = True
    except AssertionError as error:
        started = False
        assert f"pid {server.process.pid}" in str(error)
    finally:
        second.kill()
    assert not started, "two processes on one data directory"
    guest.dataset("notes").update([replace("k", "w", 1)])
