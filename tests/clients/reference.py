"""A model of Cognito Sync's data, written from its documents and what its clients show.

It knows nothing of the server's ways: dictionaries, and the rules of docs/PROTOCOL.md. Times cannot
be foretold; they are taken from the answer to the update that made them, and must stay so.
"""

import copy
import hashlib

NAME_MAX = 128


class Refused(Exception):
    """An error as a client sees it. Without a message any will do."""

    def __init__(self, name, status, message=None):
        super().__init__(name, status, message)
        self.name, self.status, self.message = name, status, message


def invalid(message=None):
    return Refused("InvalidParameterException", 400, message)


class Dataset:
    """What is known of a name under one identity, whether or not a dataset has it now."""

    def __init__(self):
        self.count = 0
        # Counts below are of something that was removed since.
        self.floor = 0
        # CreationDate, LastModifiedDate, LastModifiedBy; nothing while there is no dataset.
        self.facts = None
        self.records = {}
        # The name under which the app looks for it, if it came from another identity.
        self.merged_from = None

    def live(self):
        return [record for record in self.records.values() if "Value" in record]

    def size(self):
        return sum(len((record["Key"] + record["Value"]).encode()) for record in self.live())

    def described(self, identity, name):
        return {
            "IdentityId": identity,
            "DatasetName": name,
            **self.facts,
            "NumRecords": len(self.live()),
            "DataStorage": self.size(),
        }

    def deleted_since(self, since):
        return 0 < since < self.floor


class Page:
    """Where a listing goes on."""

    def __init__(self, since, bound, after):
        self.since, self.bound, self.after = since, bound, after


class Reference:
    """Everything that the identities of one pool have."""

    def __init__(self, datasets_max, records_max, bytes_max):
        self.limit(datasets_max, records_max, bytes_max)
        self.identities = {}

    def limit(self, datasets_max, records_max, bytes_max):
        """From now on."""
        self.datasets_max, self.records_max, self.bytes_max = datasets_max, records_max, bytes_max

    def add(self, identity):
        self.identities[identity] = {}

    def dataset(self, identity, name):
        return self.identities[identity].setdefault(name, Dataset())

    def existing(self, identity):
        """The datasets that there are, by name."""
        found = self.identities[identity]
        return {name: found[name] for name in sorted(found) if found[name].facts}

    def list(self, identity, name, since=0, limit=None, page=None):
        """The answer without its tokens, and where the next page begins."""
        dataset = self.dataset(identity, name)
        if page:
            since = page.since
        if dataset.count and since > dataset.count:
            raise invalid(f"No such SyncCount: {since} exists for this Dataset")
        bound = page.bound if page else dataset.count
        after = page.after if page else (0 if dataset.deleted_since(since) else since, None)
        found = sorted(
            (record["SyncCount"], record["Key"])
            for record in dataset.records.values()
            if record["SyncCount"] <= bound
        )
        if after[1] is None:
            found = [place for place in found if place[0] > after[0]]
        else:
            found = [place for place in found if place > after]
        rest = [] if limit is None else found[limit:]
        found = found if limit is None else found[:limit]
        answer = {
            "Records": [dataset.records[key] for _, key in found],
            "Count": len(found),
            "DatasetSyncCount": bound,
            "DatasetExists": dataset.facts is not None,
            "DatasetDeletedAfterRequestedSyncCount": dataset.deleted_since(since),
        }
        if dataset.facts:
            answer["LastModifiedBy"] = dataset.facts["LastModifiedBy"]
        merged = self.merged_names(identity, name)
        if merged:
            answer["MergedDatasetNames"] = merged
        return copy.deepcopy(answer), Page(since, bound, found[-1]) if rest else None

    def merged_names(self, identity, root):
        datasets = self.existing(identity)
        return [name for name in datasets if datasets[name].merged_from == root]

    def update(self, identity, name, patches, by):
        """Applies the whole list or raises. The records get their times by `stamp`."""
        dataset = self.dataset(identity, name)
        if len({patch["Key"] for patch in patches}) < len(patches):
            raise invalid()
        for patch in patches:
            self._compare(dataset, patch)
        changed = copy.deepcopy(dataset)
        changed.count += 1
        for patch in patches:
            record = {
                "Key": patch["Key"],
                "SyncCount": changed.count,
                "LastModifiedBy": by,
                "DeviceLastModifiedDate": patch.get("DeviceLastModifiedDate"),
            }
            if patch["Op"] == "replace":
                record["Value"] = patch["Value"]
            changed.records[patch["Key"]] = record
        self._check_limits(identity, dataset, changed)
        created = dataset.facts["CreationDate"] if dataset.facts else None
        changed.facts = {"CreationDate": created, "LastModifiedBy": by}
        self.identities[identity][name] = changed
        return [changed.records[patch["Key"]] for patch in patches]

    @staticmethod
    def _compare(dataset, patch):
        known = dataset.records.get(patch["Key"])
        count = patch["SyncCount"]
        if known:
            fits, server = count == known["SyncCount"], known["SyncCount"]
        else:
            fits, server = count == 0 or dataset.floor <= count <= dataset.count, 0
        if not fits:
            message = f"Current SyncCount for: {patch['Key']} is: {server} not: {count}"
            raise Refused("ResourceConflictException", 409, message)

    def _check_limits(self, identity, before, after):
        """A limit refuses growth only."""
        exceeded = Refused("LimitExceededException", 400)
        if not before.facts and len(self.existing(identity)) >= self.datasets_max:
            raise exceeded
        if len(after.live()) > max(self.records_max, len(before.live())):
            raise exceeded
        if after.size() > max(self.bytes_max, before.size()):
            raise exceeded

    def stamp(self, identity, name, records, time):
        """The server has said when it wrote these."""
        facts = self.dataset(identity, name).facts
        facts["LastModifiedDate"] = time
        facts["CreationDate"] = facts["CreationDate"] or time
        for record in records:
            record["LastModifiedDate"] = time
            if record["DeviceLastModifiedDate"] is None:
                record["DeviceLastModifiedDate"] = time

    def describe(self, identity, name):
        dataset = self.dataset(identity, name)
        if not dataset.facts:
            raise Refused("ResourceNotFoundException", 404)
        return dataset.described(identity, name)

    def delete(self, identity, name):
        described = self.describe(identity, name)
        dataset = self.dataset(identity, name)
        dataset.count += 1
        dataset.floor = dataset.count
        dataset.facts = None
        dataset.records = {}
        dataset.merged_from = None
        return described

    def usage(self, identity):
        """How many datasets, and how many bytes."""
        datasets = self.existing(identity).values()
        return len(datasets), sum(dataset.size() for dataset in datasets)

    def merge(self, loser, winner):
        """Every dataset of the loser is the winner's, under a name that tells where it is from."""
        for name, dataset in self.existing(loser).items():
            moved = Dataset()
            moved.count = 1
            moved.facts = dataset.facts
            moved.merged_from = dataset.merged_from or name
            for record in dataset.live():
                moved.records[record["Key"]] = {**record, "SyncCount": 1}
            self.identities[winner][merged_name(name, loser)] = moved
        del self.identities[loser]


def merged_name(name, loser):
    """A long name keeps its beginning and what tells it from others."""
    room = NAME_MAX - len(loser) - 1
    if len(name) > room:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        name = f"{name[:room - 17]}-{digest}"
    return f"{name}.{loser}"
