"""The built-in stream through boto3, the list of changes over plain HTTP, and the example that
rebuilds a pool from its stream."""

import datetime
import json
import socket
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from actors import CONFIG, Developer, remove, replace
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from server_process import ROOT_KEY, WORKSPACE
from signed import call

EXAMPLES = WORKSPACE / "docs" / "examples"
sys.path.insert(0, str(EXAMPLES))
import rebuild  # noqa: E402

STREAM = "changes"
SHARD = "shardId-000000000000"
# A log that forgets soon.
FORGETFUL = (
    "[engine]\nsegment_bytes = 65536\ncheckpoint_bytes = 1048576\n"
    "feed_retention_hours = 0\nfeed_retention_bytes = 65536\n"
)


def aws(server, service, key=ROOT_KEY):
    return boto3.client(
        service,
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        aws_session_token=(*key, None)[2],
        config=CONFIG,
    )


def streaming(developer, name=STREAM, status="ENABLED"):
    """A pool that streams."""
    pool = developer.pool()
    set_status(developer, pool, status, name)
    return pool


def set_status(developer, pool, status, name=STREAM):
    streams = {"StreamName": name, "StreamingStatus": status}
    developer.sync.set_identity_pool_configuration(IdentityPoolId=pool, CognitoStreams=streams)


def iterator(kinesis, kind="TRIM_HORIZON", **more):
    answer = kinesis.get_shard_iterator(
        StreamName=STREAM, ShardId=SHARD, ShardIteratorType=kind, **more
    )
    return answer["ShardIterator"]


def changes(server, pool, query="", key=ROOT_KEY, **headers):
    """The lines of the list of changes."""
    target = f"/syncline/v1/pools/{pool}/changes{query}"
    answer = call(server, key, "GET", target, headers=headers)
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


def test_a_stream_is_found_described_and_read(server, developer):
    pool = streaming(developer)
    kinesis = aws(server, "kinesis")
    assert kinesis.list_streams()["StreamNames"] == [STREAM]
    pages = kinesis.get_paginator("list_streams").paginate()
    assert [page["StreamNames"] for page in pages] == [[STREAM]]
    described = kinesis.describe_stream(StreamName=STREAM)["StreamDescription"]
    assert described["StreamStatus"] == "ACTIVE"
    summary = kinesis.describe_stream_summary(StreamARN=described["StreamARN"])
    assert summary["StreamDescriptionSummary"]["OpenShardCount"] == 1
    shards = kinesis.list_shards(StreamName=STREAM)["Shards"]
    assert [shard["ShardId"] for shard in shards] == [SHARD]
    assert shards == described["Shards"]

    user = developer.guest(pool)
    written = user.dataset("game").update([replace("level", "7"), replace("höhe", "ü\n")])
    answer = kinesis.get_records(ShardIterator=iterator(kinesis))
    (record,) = answer["Records"]
    assert record["PartitionKey"] == user.identity
    assert record["ApproximateArrivalTimestamp"] == written[0]["LastModifiedDate"]
    envelope = json.loads(record["Data"])
    assert envelope["identityPoolId"] == pool
    assert envelope["identityId"] == user.identity
    assert envelope["dataSetName"] == envelope["datasetName"] == "game"
    assert (envelope["operation"], envelope["payloadType"]) == ("replace", "Inline")
    assert envelope["syncCount"] == 1
    modified = round(written[0]["LastModifiedDate"].timestamp() * 1000)
    assert envelope["lastModifiedDate"] == modified
    records = {one["key"]: one for one in envelope["kinesisSyncRecords"]}
    assert records["höhe"]["value"] == "ü\n"
    assert records["level"]["lastModifiedDate"] == modified
    assert answer["MillisBehindLatest"] == 0

    user.dataset("game").update([remove("level", 1)])
    user.dataset("game").delete()
    number = record["SequenceNumber"]
    after = iterator(kinesis, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=number)
    later = kinesis.get_records(ShardIterator=after)["Records"]
    events = [json.loads(one["Data"]) for one in later]
    assert [event["operation"] for event in events] == ["replace", "remove"]
    (removed,) = events[0]["kinesisSyncRecords"]
    assert removed["op"] == "remove" and "value" not in removed
    assert "kinesisSyncRecords" not in events[1]
    at = iterator(kinesis, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=number)
    assert kinesis.get_records(ShardIterator=at, Limit=1)["Records"] == [record]
    late = record["ApproximateArrivalTimestamp"]
    at = iterator(kinesis, "AT_TIMESTAMP", Timestamp=late)
    assert kinesis.get_records(ShardIterator=at)["Records"][0] == record
    newest = kinesis.get_records(ShardIterator=iterator(kinesis, "LATEST"))
    assert newest["Records"] == []


def test_errors_have_the_classes_of_the_sdk(server, developer):
    pool = streaming(developer)
    kinesis = aws(server, "kinesis")
    wrong = kinesis.exceptions
    with pytest.raises(wrong.ResourceNotFoundException):
        kinesis.describe_stream(StreamName="none")
    with pytest.raises(wrong.InvalidArgumentException):
        iterator(kinesis, "AT_SEQUENCE_NUMBER", StartingSequenceNumber="1")
    with pytest.raises(wrong.InvalidArgumentException):
        kinesis.get_records(ShardIterator="none")
    with pytest.raises(ClientError, match="UnknownOperationException"):
        kinesis.put_record(StreamName=STREAM, Data=b"x", PartitionKey="x")
    guest = developer.guest(pool)
    with pytest.raises(ClientError, match="AccessDeniedException"):
        aws(server, "kinesis", guest.key).list_streams()
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        aws(server, "kinesis", (ROOT_KEY[0], "wrong")).list_streams()
    first = iterator(kinesis)
    set_status(developer, pool, "DISABLED")
    with pytest.raises(wrong.ResourceNotFoundException):
        kinesis.get_records(ShardIterator=first)
    assert kinesis.list_streams()["StreamNames"] == []


def test_what_is_too_large_comes_by_a_link(server, developer, tmp_path):
    pool = streaming(developer)
    user = developer.guest(pool)
    value = "ä" * ((1 << 19) - 1)
    user.dataset("large").update([replace("k", value)])
    user.dataset("small").update([replace("k", "v")])
    kinesis = aws(server, "kinesis")
    events = [
        json.loads(record["Data"])
        for record in kinesis.get_records(ShardIterator=iterator(kinesis))["Records"]
    ]
    assert [event["payloadType"] for event in events] == ["S3Url", "Inline"]
    assert "kinesisSyncRecords" not in events[0]
    assert events[0]["kinesisSyncRecordsURL"].startswith(server.url)
    copy = rebuild.Rebuild(tmp_path / "copy", STREAM)
    assert copy.read(kinesis) == 2
    assert copy.datasets(pool, user.identity)["large"]["k"] == (value, 1)
    # The list of changes carries it itself.
    (large, _, _) = changes(server, pool)
    assert large["change"]["payloadType"] == "Inline"
    assert large["change"]["kinesisSyncRecords"][0]["value"] == value


def test_a_deleted_identity_takes_its_datasets_out_of_the_copy(server, developer, tmp_path):
    pool = streaming(developer)
    stays, goes = developer.guest(pool), developer.guest(pool)
    for user in (stays, goes):
        user.dataset("d").update([replace("k", "v")])
    developer.identity.delete_identities(IdentityIdsToDelete=[goes.identity])
    copy = rebuild.Rebuild(tmp_path / "copy", STREAM)
    copy.read(aws(server, "kinesis"))
    assert copy.datasets(pool, stays.identity) == {"d": {"k": ("v", 1)}}
    assert copy.datasets(pool, goes.identity) == {}


def test_who_was_away_too_long_is_told_of_the_gap(make_server):
    server = make_server(FORGETFUL)
    developer = Developer(server)
    pool = streaming(developer)
    dataset = developer.guest(pool).dataset("d")
    kinesis = aws(server, "kinesis")
    dataset.update([replace("k", "v")])
    answer = kinesis.get_records(ShardIterator=iterator(kinesis))
    number, old = answer["Records"][0]["SequenceNumber"], answer["NextShardIterator"]
    cursor = changes(server, pool)[-1]["cursor"]
    target = f"/syncline/v1/pools/{pool}/changes?cursor={cursor}"
    count = 1
    # The cleaner works at its own pace; the number only keeps a broken one from running for ever.
    # Who asks for the oldest that there is does not keep it.
    while count < 5000:
        dataset.update([replace("k", "v" * 30_000, count)])
        count += 1
        oldest = kinesis.get_records(ShardIterator=iterator(kinesis), Limit=1)["Records"]
        if oldest[0]["SequenceNumber"] != number:
            break
    answer = call(server, ROOT_KEY, "GET", target)
    assert answer.error() == (410, "CursorTooOldException")
    message = answer.json()["message"]
    assert "BulkPublish" in message
    wrong = kinesis.exceptions
    with pytest.raises(wrong.ExpiredIteratorException, match="BulkPublish"):
        kinesis.get_records(ShardIterator=old)
    with pytest.raises(wrong.InvalidArgumentException, match="BulkPublish"):
        iterator(kinesis, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=number)
    # What is kept is told from its beginning on.
    kept = kinesis.get_records(ShardIterator=iterator(kinesis))["Records"]
    counts = [json.loads(record["Data"])["syncCount"] for record in kept]
    assert counts[0] > 1 and counts == list(range(counts[0], count + 1))


def test_the_list_of_changes_waits_for_the_next_one(server, developer):
    pool = developer.pool()
    dataset = developer.guest(pool).dataset("d")
    dataset.update([replace("k", "v")])
    (first, end) = changes(server, pool)
    assert (first["change"]["syncCount"], end["behindMs"]) == (1, 0)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(changes, server, pool, f"?cursor={end['cursor']}&wait=20")
        dataset.update([replace("k", "w", 1)])
        (second, end) = waiting.result()
    assert second["change"]["syncCount"] == 2
    assert changes(server, pool, f"?cursor={first['cursor']}")[0] == second
    headers = {"Accept": "text/event-stream", "Last-Event-ID": first["cursor"]}
    target = f"/syncline/v1/pools/{pool}/changes"
    answer = call(server, ROOT_KEY, "GET", target, headers=headers)
    assert answer.header("Content-Type") == "text/event-stream"
    lines = answer.body.decode().splitlines()
    assert lines[0] == f"id: {second['cursor']}"
    assert json.loads(lines[2].removeprefix("data: ")) == second["change"]
    guest = developer.guest(pool)
    answer = call(server, guest.key, "GET", target)
    assert answer.error() == (403, "AccessDeniedException")


def test_a_server_that_stops_lets_go_who_waits(server, developer):
    pool = developer.pool()
    cursor = changes(server, pool)[-1]["cursor"]
    target = f"/syncline/v1/pools/{pool}/changes?cursor={cursor}&wait=20"
    request = AWSRequest(method="GET", url=server.url + target)
    SigV4Auth(Credentials(*ROOT_KEY), "cognito-sync", "us-east-1").add_auth(request)
    host = "Host: " + server.url.removeprefix("http://")
    headers = [host, *(f"{name}: {value}" for name, value in request.headers.items())]
    waiting = "\r\n".join([f"GET {target} HTTP/1.1", *headers, "", ""])
    with socket.create_connection(server.address) as connection:
        # Behind another request on the same connection, whose answer tells that it came.
        connection.sendall(f"GET /healthz HTTP/1.1\r\n{host}\r\n\r\n{waiting}".encode())
        with connection.makefile("rb") as answers:
            while (line := answers.readline()) != b"ok\n":
                assert line, "closed too early"
            assert server.stop() == 0
            # An answer, and not a connection that was cut off.
            rest = answers.read().decode()
    assert rest.startswith("HTTP/1.1 200 OK")
    assert json.loads(rest.splitlines()[-1]) == {"cursor": cursor, "behindMs": 0}


def cbor_of(value):
    """What the SDK for Java sends: texts, and times as milliseconds with tag 1."""
    if isinstance(value, dict):
        pairs = (cbor_of(key) + cbor_of(one) for key, one in value.items())
        return bytes([0xBF]) + b"".join(pairs) + bytes([0xFF])
    if isinstance(value, datetime.datetime):
        return bytes([0xC1, 0x1B]) + round(value.timestamp() * 1000).to_bytes(8, "big")
    text = value.encode()
    return bytes([0x7A]) + len(text).to_bytes(4, "big") + text


def read_cbor(data):
    """Reads what RFC 8949 describes, as far as it is needed here; times come back as datetimes."""

    def one(at):
        kind, number = data[at] >> 5, data[at] & 31
        at += 1
        if kind == 7:
            if number == 27:
                return struct.unpack(">d", data[at : at + 8])[0], at + 8
            return {20: False, 21: True, 22: None}[number], at
        endless = number == 31
        if number >= 24 and not endless:
            size = 1 << (number - 24)
            number, at = int.from_bytes(data[at : at + size], "big"), at + size
        if kind in (0, 1):
            return (number if kind == 0 else -1 - number), at
        if kind in (2, 3):
            part = data[at : at + number]
            return (part if kind == 2 else part.decode()), at + number
        if kind == 6:
            assert number == 1
            ms, at = one(at)
            return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC), at
        parts = []
        while (data[at] != 0xFF) if endless else (len(parts) < number * (kind - 3)):
            part, at = one(at)
            parts.append(part)
        return (parts if kind == 4 else dict(zip(parts[::2], parts[1::2]))), at + endless

    value, end = one(0)
    assert end == len(data)
    return value


def test_who_speaks_cbor_reads_the_same(server, developer):
    pool = streaming(developer)
    dataset = developer.guest(pool).dataset("d")
    for count in range(3):
        dataset.update([replace("k", "ü" * (count + 1), count)])
    kinesis = aws(server, "kinesis")

    def ask(operation, body, status=200, key=ROOT_KEY):
        headers = {
            "Content-Type": "application/x-amz-cbor-1.1",
            "X-Amz-Target": f"Kinesis_20131202.{operation}",
        }
        answer = call(server, key, "POST", "/", cbor_of(body), headers, "kinesis")
        assert answer.status == status, answer.body
        assert answer.header("Content-Type") == "application/x-amz-cbor-1.1"
        return read_cbor(answer.body)

    def without(answer):
        answer.pop("ResponseMetadata")
        return answer

    named = {"StreamName": STREAM}
    assert ask("ListStreams", {}) == without(kinesis.list_streams())
    assert ask("DescribeStream", named) == without(kinesis.describe_stream(**named))
    summary = without(kinesis.describe_stream_summary(**named))
    assert ask("DescribeStreamSummary", named) == summary
    assert ask("ListShards", named) == without(kinesis.list_shards(**named))
    expected = kinesis.get_records(ShardIterator=iterator(kinesis))["Records"]
    assert len(expected) == 3
    wish = {**named, "ShardId": SHARD, "ShardIteratorType": "TRIM_HORIZON"}
    first = ask("GetShardIterator", wish)["ShardIterator"]
    answer = ask("GetRecords", {"ShardIterator": first})
    assert answer["Records"] == expected
    assert answer["MillisBehindLatest"] == 0
    late = expected[2]["ApproximateArrivalTimestamp"]
    wish = {**wish, "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": late}
    last = ask("GetShardIterator", wish)["ShardIterator"]
    assert expected[2] in ask("GetRecords", {"ShardIterator": last})["Records"]
    refused = ask("DescribeStream", {"StreamName": "none"}, 400)
    assert refused["__type"] == "ResourceNotFoundException" and refused["message"]
    assert "__type" in ask("ListStreams", {}, 400, (ROOT_KEY[0], "wrong"))
