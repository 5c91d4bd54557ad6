"""What ListRecords tells: since a count, after a deletion, page by page."""

import pytest
from actors import refused, remove, replace


@pytest.fixture
def notes(guest):
    return guest.dataset("notes")


def test_only_what_is_newer_is_listed(notes):
    for count in range(5):
        notes.update([replace(f"k{count}", "v")])
    for since in range(6):
        listed = notes.list(since)
        assert [record["SyncCount"] for record in listed["Records"]] == list(range(since + 1, 6))
        assert listed["DatasetSyncCount"] == 5
        assert listed["Count"] == 5 - since
        assert listed["DatasetDeletedAfterRequestedSyncCount"] is False


def test_a_count_that_was_not_reached_is_refused(notes):
    notes.update([replace("a", "1")])
    text = "No such SyncCount: 2 exists for this Dataset"
    with refused("InvalidParameterException", 400, text):
        notes.list(2)
    notes.delete()
    notes.list(2)
    text = "No such SyncCount: 3 exists for this Dataset"
    with refused("InvalidParameterException", 400, text):
        notes.list(3)
    huge = 2**63 - 1
    text = f"No such SyncCount: {huge} exists for this Dataset"
    with refused("InvalidParameterException", 400, text):
        notes.list(huge)


def test_a_dataset_that_never_was_is_missing_whatever_the_count(notes):
    for since in (0, 1, 8006):
        listed = notes.list(since)
        assert listed["DatasetExists"] is False
        assert listed["DatasetSyncCount"] == 0
        assert listed["DatasetDeletedAfterRequestedSyncCount"] is False
        assert "LastModifiedBy" not in listed


def test_the_deleted_flag(notes):
    notes.update([replace("a", "1")])
    notes.update([replace("b", "1")])
    notes.delete()
    for since, deleted in ((0, False), (1, True), (2, True), (3, False)):
        listed = notes.list(since)
        assert listed["DatasetDeletedAfterRequestedSyncCount"] is deleted, since
        assert (listed["DatasetExists"], listed["DatasetSyncCount"]) == (False, 3)
        assert listed["Records"] == []
    notes.update([replace("c", "1")])
    for since, deleted, keys in ((0, False, ["c"]), (2, True, ["c"]), (3, False, ["c"]),
                                 (4, False, [])):
        listed = notes.list(since)
        assert listed["DatasetDeletedAfterRequestedSyncCount"] is deleted, since
        assert (listed["DatasetExists"], listed["DatasetSyncCount"]) == (True, 4)
        assert [record["Key"] for record in listed["Records"]] == keys
    notes.delete()
    assert notes.list(4)["DatasetDeletedAfterRequestedSyncCount"] is True
    with refused("ResourceNotFoundException", 404):
        notes.delete()


def test_deletion_drops_tombstones_too(notes):
    notes.update([replace("a", "1"), replace("b", "1")])
    notes.update([remove("a", 1)])
    notes.delete()
    notes.update([replace("c", "1")])
    assert notes.values() == {"c": "1"}


def test_purged_tombstones_raise_the_floor(notes):
    """4,096 tombstones are kept. Whoever lists from below what was purged gets everything."""
    notes.update([replace("stays", "v")])
    for batch in range(4):
        notes.update([remove(f"{batch}-{number:04}", 0) for number in range(1024)])
    listed = notes.list(1)
    assert (listed["Count"], listed["DatasetSyncCount"]) == (4096, 5)
    assert listed["DatasetDeletedAfterRequestedSyncCount"] is False
    notes.update([remove("one more", 0)])
    listed = notes.list()
    assert listed["Count"] <= 4097 and "one more" in {r["Key"] for r in listed["Records"]}
    below = notes.list(1)
    assert below["DatasetDeletedAfterRequestedSyncCount"] is True
    assert below["Records"] == listed["Records"], "all there is, also what is older"
    assert notes.list(5)["DatasetDeletedAfterRequestedSyncCount"] is False
    # A key whose tombstone was purged is not resurrected by a count from before.
    kept = {record["Key"] for record in listed["Records"]}
    purged = next(f"0-{n:04}" for n in range(1024) if f"0-{n:04}" not in kept)
    text = f"Current SyncCount for: {purged} is: 0 not: 1"
    with refused("ResourceConflictException", 409, text):
        notes.update([replace(purged, "old", 1)])
    notes.update([replace(purged, "new", 0)])
    assert notes.describe()["NumRecords"] == 2


def test_many_deleted_names_fold_into_one_memory(guest):
    """More names than an identity remembers: the count of a forgotten one still never falls."""
    names = [f"level-{number:03}" for number in range(70)]
    for name in names:
        guest.dataset(name).update([replace("a", "1")])
        guest.dataset(name).delete()
    for name in names:
        listed = guest.dataset(name).list(1)
        assert listed["DatasetSyncCount"] >= 2, name
        assert listed["DatasetDeletedAfterRequestedSyncCount"] is True, name
        (written,) = guest.dataset(name).update([replace("a", "again")])
        assert written["SyncCount"] >= 3
        guest.dataset(name).delete()


def pages(dataset, since=0, **more):
    found, token = [], {}
    while True:
        page = dataset.list(since, **more, **token)
        found.append(page)
        if "NextToken" not in page:
            return found
        token = {"NextToken": page["NextToken"]}


def test_pages_hold_everything_once(notes):
    notes.update([replace(f"k{number:03}", "v") for number in range(50)])
    notes.update([replace("late", "v"), remove("k007", 1)])
    whole = notes.list()["Records"]
    for size in (1, 7, 26, 51, 52, 1024):
        found = pages(notes, MaxResults=size)
        records = [record for page in found for record in page["Records"]]
        assert records == whole, size
        assert all(page["Count"] == len(page["Records"]) <= size for page in found)
        assert all(page["DatasetSyncCount"] == 2 for page in found)
    since = [record for page in pages(notes, 1, MaxResults=1) for record in page["Records"]]
    assert [record["Key"] for record in since] == ["k007", "late"]


def test_a_next_token_works_alone_and_pages_show_one_moment(notes):
    notes.update([replace(f"k{number}", "v") for number in range(6)])
    first = notes.list(MaxResults=3)
    notes.update([replace("k5", "changed", 1), replace("new", "v")])
    second = notes.list(MaxResults=3, NextToken=first["NextToken"])
    assert first["DatasetSyncCount"] == second["DatasetSyncCount"] == 1
    seen = [record["Key"] for page in (first, second) for record in page["Records"]]
    # What moved on meanwhile is listed from there, so a client that goes on misses nothing.
    after = [record["Key"] for record in notes.list(since=1)["Records"]]
    assert set(seen) | set(after) == {"k0", "k1", "k2", "k3", "k4", "k5", "new"}
    assert "new" not in seen and after == ["k5", "new"]
    # The session of the last page serves for the update.
    notes.update([replace("k0", "v2", 1)], second["SyncSessionToken"])


def test_a_next_token_belongs_to_its_listing(guest, notes):
    notes.update([replace("a", "1"), replace("b", "1")])
    other = guest.dataset("other")
    other.update([replace("a", "1"), replace("b", "1")])
    token = notes.list(MaxResults=1)["NextToken"]
    for bad in (token[:-1], token + "A", "x", "\u00fc"):
        with refused("InvalidParameterException", 400):
            notes.list(MaxResults=1, NextToken=bad)
    with refused("InvalidParameterException", 400):
        other.list(MaxResults=1, NextToken=token)
    with refused("InvalidParameterException", 400):
        notes.list(1, MaxResults=1, NextToken=token)
    with refused("InvalidParameterException", 400):
        guest.sync.list_datasets(**guest.names, NextToken=token)


@pytest.mark.parametrize("size", [0, -1])
def test_a_page_has_at_least_one(notes, guest, size):
    with refused("InvalidParameterException", 400):
        notes.list(MaxResults=size)
    with refused("InvalidParameterException", 400):
        guest.sync.list_datasets(**guest.names, MaxResults=size)


def test_datasets_are_listed_page_by_page(guest):
    names = sorted(f"data:{number}.x_y-z" for number in range(20))
    for name in names:
        guest.dataset(name).update([replace("a", name)])
    for size in (1, 7, 20, 1000):
        found, token = [], {}
        while True:
            page = guest.sync.list_datasets(**guest.names, MaxResults=size, **token)
            assert page["Count"] == len(page["Datasets"])
            found += [dataset["DatasetName"] for dataset in page["Datasets"]]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert found == names, size
    assert guest.sync.list_datasets(**guest.names)["Count"] == 20
    guest.dataset(names[3]).delete()
    listed = guest.sync.list_datasets(**guest.names)["Datasets"]
    assert [dataset["DatasetName"] for dataset in listed] == names[:3] + names[4:]


def test_pools_are_listed_page_by_page(developer):
    made = sorted(developer.pool(name=f"pool {number}") for number in range(12))
    assert sorted(pool["IdentityPoolId"] for pool in developer.pools()) == made
    for size in (1, 5, 12, 1000, None):
        found, token = [], {}
        asked = {} if size is None else {"MaxResults": size}
        while True:
            page = developer.sync.list_identity_pool_usage(**asked, **token)
            assert page["Count"] == len(page["IdentityPoolUsages"]) <= (size or 10)
            found += [usage["IdentityPoolId"] for usage in page["IdentityPoolUsages"]]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert found == made, size
    found, token = [], {}
    while True:
        page = developer.identity.list_identity_pools(MaxResults=5, **token)
        found += [pool["IdentityPoolId"] for pool in page["IdentityPools"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert found == made
