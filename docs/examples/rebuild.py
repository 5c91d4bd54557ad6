#!/usr/bin/env python3
"""Rebuilds the datasets of an identity pool in SQLite from the pool's stream, and compares them.

    python3 rebuild.py URL STREAM DATABASE          read what is there, and end
    python3 rebuild.py URL STREAM DATABASE --follow read on until it is stopped
    python3 rebuild.py URL STREAM DATABASE --compare read what is there, and compare with the server
    python3 rebuild.py URL STREAM DATABASE --anew    forget the place, read from the oldest on

Needs boto3, and the keys of a developer in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. URL is the
server's, STREAM what CognitoStreams of the pool has as StreamName. The stream begins where it was
enabled: call BulkPublish once, and it tells of what was there before, too.

The place in the stream is stored in the transaction that stores what was read, so that a crash on
either side repeats nothing and loses nothing. If the stream says that changes are gone, or the
server was restored, call BulkPublish and begin with --anew.
"""

import json
import sqlite3
import sys
import time
import urllib.request

import boto3
from botocore.exceptions import ClientError

EXPIRED = "ExpiredIteratorException"
GONE = (EXPIRED, "InvalidArgumentException")
SHARD = "shardId-000000000000"
SCHEMA = """
create table if not exists places (stream text primary key, number text not null);
create table if not exists datasets (
    pool text, identity text, name text, count integer not null,
    primary key (pool, identity, name));
create table if not exists records (
    pool text, identity text, name text, key text, value text not null, count integer not null,
    primary key (pool, identity, name, key));
"""


def client(url, service):
    return boto3.client(service, endpoint_url=url, region_name="us-east-1")


class Rebuild:
    """The datasets as the stream tells of them."""

    def __init__(self, path, stream):
        self.stream = stream
        # Where to go on; whoever keeps reading misses nothing however quiet the stream is.
        self.next = None
        self.database = sqlite3.connect(path)
        self.database.executescript(SCHEMA)

    def read(self, kinesis):
        """Reads up to the present; returns how many records there were."""
        total = 0
        while True:
            self.next = self.next or self.iterator(kinesis)
            try:
                answer = kinesis.get_records(ShardIterator=self.next)
            except ClientError as error:
                # One that was not used for five minutes: what was read last tells where to go on.
                # If nothing was, it is not known whether anything is missing.
                if error.response["Error"]["Code"] != EXPIRED or not self.place():
                    raise
                self.next = self.iterator(kinesis)
                answer = kinesis.get_records(ShardIterator=self.next)
            records, self.next = answer["Records"], answer["NextShardIterator"]
            if records:
                self.apply(records)
                total += len(records)
            if answer["MillisBehindLatest"] == 0:
                return total

    def iterator(self, kinesis):
        """Behind what was read last, or where the stream begins."""
        found = self.place()
        where = {"ShardIteratorType": "TRIM_HORIZON"}
        if found:
            where = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": found[0],
            }
        answer = kinesis.get_shard_iterator(StreamName=self.stream, ShardId=SHARD, **where)
        return answer["ShardIterator"]

    def place(self):
        """The number that was read last, in a row, or None."""
        find = self.database.execute("select number from places where stream = ?", [self.stream])
        return find.fetchone()

    def forget_place(self):
        with self.database:
            self.database.execute("delete from places where stream = ?", [self.stream])

    def apply(self, records):
        """Takes over all of these records, or none."""
        with self.database:
            for record in records:
                self.take(json.loads(record["Data"]))
            last = records[-1]["SequenceNumber"]
            self.database.execute("replace into places values (?, ?)", [self.stream, last])

    def take(self, event):
        """Takes over what happened to one dataset."""
        run = self.database.execute
        dataset = [event["identityPoolId"], event["identityId"], event["datasetName"]]
        this = "pool = ? and identity = ? and name = ?"
        known = run(f"select count from datasets where {this}", dataset).fetchone()
        if known and event["syncCount"] < known[0]:
            return  # BulkPublish may tell again what is newer here.
        gone = event["operation"] == "remove"
        if gone or event.get("whole"):
            run(f"delete from records where {this}", dataset)
        run("replace into datasets values (?, ?, ?, ?)", [*dataset, event["syncCount"]])
        for record in [] if gone else records_of(event):
            if record["op"] == "remove":
                run(f"delete from records where {this} and key = ?", [*dataset, record["key"]])
            else:
                row = [*dataset, record["key"], record["value"], record["syncCount"]]
                run("replace into records values (?, ?, ?, ?, ?, ?)", row)

    def datasets(self, pool, identity):
        """What is known of an identity: by dataset, the value and count of each key."""
        rows = self.database.execute(
            "select name, key, value, count from records where pool = ? and identity = ?",
            [pool, identity],
        )
        found = {}
        for name, key, value, count in rows:
            found.setdefault(name, {})[key] = (value, count)
        return found

    def identities(self, pool):
        """Those of a pool of which there are records."""
        find = "select distinct identity from records where pool = ?"
        return {identity for (identity,) in self.database.execute(find, [pool])}

    def pools(self):
        return [pool for (pool,) in self.database.execute("select distinct pool from datasets")]


def records_of(event):
    """The records of an event: in it, or where its link leads to."""
    if event["payloadType"] == "Inline":
        return event["kinesisSyncRecords"]
    with urllib.request.urlopen(event["kinesisSyncRecordsURL"]) as answer:
        return json.load(answer)


def on_server(sync, pool, identity):
    """What the server has of an identity, in the same form."""
    of = {"IdentityPoolId": pool, "IdentityId": identity}
    found, listing = {}, {}
    while True:
        page = sync.list_datasets(**of, **listing)
        for dataset in page["Datasets"]:
            name = dataset["DatasetName"]
            records = sync.list_records(**of, DatasetName=name)["Records"]
            live = {r["Key"]: (r["Value"], r["SyncCount"]) for r in records if "Value" in r}
            if live:
                found[name] = live
        if not page.get("NextToken"):
            return found
        listing = {"NextToken": page["NextToken"]}


def differences(rebuild, url):
    """Identities whose datasets are not the server's, of all pools that the stream told of."""
    sync, identities = client(url, "cognito-sync"), client(url, "cognito-identity")
    different, compared = [], 0
    for pool in rebuild.pools():
        # Those that the server has no more must not be here, either.
        left = rebuild.identities(pool)
        listing = {"IdentityPoolId": pool, "MaxResults": 60}
        while listing:
            page = identities.list_identities(**listing)
            for identity in (found["IdentityId"] for found in page["Identities"]):
                compared += 1
                left.discard(identity)
                if rebuild.datasets(pool, identity) != on_server(sync, pool, identity):
                    different.append(identity)
            token = page.get("NextToken")
            listing = {**listing, "NextToken": token} if token else None
        compared += len(left)
        different.extend(sorted(left))
    return different, compared


def main(url, stream, path, wish=None):
    rebuild, kinesis = Rebuild(path, stream), client(url, "kinesis")
    if wish == "--anew":
        rebuild.forget_place()
    while True:
        try:
            print(f"read {rebuild.read(kinesis)} records")
        except ClientError as error:
            # The message of these two says what to do: some changes were missed for good.
            if error.response["Error"]["Code"] in GONE:
                sys.exit(error.response["Error"]["Message"])
            raise
        if wish != "--follow":
            break
        time.sleep(1)
    if wish == "--compare":
        different, compared = differences(rebuild, url)
        for identity in different:
            print(f"{identity} differs")
        print(f"compared {compared} identities, {len(different)} differ")
        sys.exit(bool(different))


if __name__ == "__main__":
    main(*sys.argv[1:])
