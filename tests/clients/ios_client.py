"""The way the iOS library synchronises a dataset, as its source does it, over signed HTTP.

It sends no maxResults and reads one page only, goes on with the session token it has, and matches
errors by their header and the beginning of their message.
"""

import time
from urllib.parse import quote

from signed import call, path

TRIES = 5
HEADERS = {"Content-Type": "application/x-amz-json-1.1"}


class SyncFailed(Exception):
    """Every try is used up, or an error that the library does not know how to go on from."""


class IosDataset:
    """The local copy of one dataset on one device."""

    def __init__(self, server, user, name, keep_on_deletion=True):
        self.server, self.key = server, user.key
        self.target = path(user.pool, "identities", user.identity, "datasets", name)
        self.keep_on_deletion = keep_on_deletion
        self.last_count = 0
        # key: [value, sync count, changed here]
        self.rows = {}
        self.deletions_seen = 0
        self.conflicts_seen = 0

    def set(self, key, value):
        count = self.rows[key][1] if key in self.rows else 0
        self.rows[key] = [value, count, True]

    def remove(self, key):
        self.set(key, None)

    def values(self):
        return {key: value for key, (value, _, _) in self.rows.items() if value is not None}

    def ask(self, method, behind="", body=b""):
        return call(self.server, self.key, method, self.target + behind, body, HEADERS)

    def list(self, token=None):
        query = f"/records?lastSyncCount={self.last_count}"
        if token is not None:
            query += f"&syncSessionToken={quote(token, safe='')}"
        return self.ask("GET", query)

    def synchronize(self):
        token = None
        for _ in range(TRIES):
            answer = self.list(token)
            if answer.status != 200:
                status, name = answer.error()
                broken = answer.json()["message"].startswith("No such SyncCount:")
                if name == "InvalidParameterException" and broken:
                    self.last_count -= 1
                    continue
                raise SyncFailed(status, name, answer.json()["message"])
            listed = answer.json()
            token = listed["SyncSessionToken"]
            gone = listed["DatasetDeletedAfterRequestedSyncCount"]
            if gone or (not listed["DatasetExists"] and self.last_count > 0):
                self.deletions_seen += 1
                if not self.keep_on_deletion:
                    self.rows, self.last_count = {}, 0
                    return
                # Everything is pushed again; the records that came are taken first.
                for row in self.rows.values():
                    row[1], row[2] = 0, True
            self.pull(listed)
            if self.push(listed, token):
                return
        raise SyncFailed("too many tries")

    def pull(self, listed):
        for record in listed["Records"]:
            key, theirs = record["Key"], record.get("Value")
            mine = self.rows.get(key)
            if mine is not None and mine[2] and mine[0] != theirs:
                # A conflict, which the test's resolver decides for the device.
                self.conflicts_seen += 1
                self.rows[key] = [mine[0], record["SyncCount"], True]
            else:
                self.rows[key] = [theirs, record["SyncCount"], False]
        self.last_count = listed["DatasetSyncCount"]

    def push(self, listed, token):
        dirty = {key: row for key, row in self.rows.items() if row[2]}
        if not dirty:
            return True
        patches = []
        for key, (value, count, _) in dirty.items():
            patch = {"Key": key, "SyncCount": count, "DeviceLastModifiedDate": time.time()}
            if value is None:
                patches.append(patch | {"Op": "remove"})
            else:
                patches.append(patch | {"Op": "replace", "Value": value})
        answer = self.ask("POST", "", {"RecordPatches": patches, "SyncSessionToken": token})
        if answer.status == 409:
            assert answer.error() == (409, "ResourceConflictException")
            self.last_count = max(patch["SyncCount"] for patch in patches)
            return False
        if answer.status != 200:
            raise SyncFailed(*answer.error(), answer.json()["message"])
        highest = 0
        for record in answer.json()["Records"]:
            self.rows[record["Key"]] = [record.get("Value"), record["SyncCount"], False]
            highest = max(highest, record["SyncCount"])
        if highest == listed["DatasetSyncCount"] + 1:
            self.last_count = highest
        return True

    def delete(self):
        """Deletes it on the server too; that it was not there is success."""
        answer = self.ask("DELETE")
        if answer.status != 200:
            assert answer.error() == (404, "ResourceNotFoundException")
        self.rows, self.last_count = {}, 0
