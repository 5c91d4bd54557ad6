"""Usage figures, compared with a recount of everything that can be read."""

import random

from actors import refused, remove, replace


def size(records):
    live = [record for record in records if "Value" in record]
    return len(live), sum(len((record["Key"] + record["Value"]).encode()) for record in live)


def recount(developer, pool, users):
    """Compares each figure of the pool with what its records add up to."""
    pool_bytes = 0
    for user in users:
        datasets = developer.sync.list_datasets(**user.names)["Datasets"]
        identity_bytes = 0
        for described in datasets:
            dataset = developer.on(pool, user.identity, described["DatasetName"])
            listed = dataset.list()
            records, stored = size(listed["Records"])
            assert (described["NumRecords"], described["DataStorage"]) == (records, stored)
            assert dataset.describe() == described
            assert listed["LastModifiedBy"] == described["LastModifiedBy"]
            identity_bytes += stored
        usage = developer.sync.describe_identity_usage(**user.names)["IdentityUsage"]
        assert usage["DatasetCount"] == len(datasets)
        assert usage["DataStorage"] == identity_bytes
        assert usage == user.sync.describe_identity_usage(**user.names)["IdentityUsage"]
        pool_bytes += identity_bytes
    described = developer.sync.describe_identity_pool_usage(IdentityPoolId=pool)
    usage = described["IdentityPoolUsage"]
    assert usage["DataStorage"] == pool_bytes
    listed = developer.sync.list_identity_pool_usage()["IdentityPoolUsages"]
    assert [found for found in listed if found["IdentityPoolId"] == pool] == [usage]


def test_figures_equal_a_recount_after_random_work(server, developer, pool):
    chance = random.Random(20140630)
    users = [developer.user(pool) for _ in range(3)]
    for step in range(120):
        dataset = chance.choice(users).dataset(chance.choice(["a", "b", "c", "d"]))
        counts = dataset.counts()
        if counts and chance.random() < 0.05:
            dataset.delete()
            continue
        patches = {}
        for _ in range(chance.randint(1, 6)):
            key = chance.choice(["k", "l\u00e4nge", "m" * 40, "n", "o"])
            count = counts.get(key, 0)
            if chance.random() < 0.3:
                patches[key] = remove(key, count)
            else:
                patches[key] = replace(key, chance.choice("x\u00e4\U0001f600") * step, count)
        dataset.update(list(patches.values()))
        if step % 40 == 39:
            recount(developer, pool, users)
    server.restart()
    developer.__init__(server)
    for user in users:
        user.reconnect(server)
    recount(developer, pool, users)


def test_who_never_wrote_has_zeros(developer, pool, guest):
    usage = guest.sync.describe_identity_usage(**guest.names)["IdentityUsage"]
    assert (usage["DatasetCount"], usage["DataStorage"]) == (0, 0)
    assert usage["IdentityId"] == guest.identity and usage["IdentityPoolId"] == pool
    described = developer.sync.describe_identity_pool_usage(IdentityPoolId=pool)
    assert described["IdentityPoolUsage"]["DataStorage"] == 0


def test_sessions_are_counted_where_they_begin(developer, pool, guest):
    def sessions():
        described = developer.sync.describe_identity_pool_usage(IdentityPoolId=pool)
        return described["IdentityPoolUsage"]["SyncSessionsCount"]

    notes = guest.dataset("notes")
    assert sessions() == 0
    notes.update([replace("a", "1"), replace("b", "1")])
    assert sessions() == 1
    first = notes.list(MaxResults=1)
    assert sessions() == 2
    notes.list(MaxResults=1, NextToken=first["NextToken"])
    notes.list(SyncSessionToken=first["SyncSessionToken"])
    assert sessions() == 2, "pages and listings with a token go on with their session"


def test_a_deleted_dataset_is_told_as_it_was(guest):
    notes = guest.dataset("notes")
    notes.update([replace("ab", "cde")])
    before = notes.describe()
    assert (before["NumRecords"], before["DataStorage"]) == (1, 5)
    deleted = notes.delete()
    assert deleted["DatasetName"] == "notes"
    assert deleted["CreationDate"] == before["CreationDate"]
    with refused("ResourceNotFoundException", 404, "Dataset 'notes' not found"):
        notes.describe()
    usage = guest.sync.describe_identity_usage(**guest.names)["IdentityUsage"]
    assert (usage["DatasetCount"], usage["DataStorage"]) == (0, 0)
