"""The live tests of the iOS library, as sequences against this server."""

import pytest
from ios_client import IosDataset, SyncFailed


@pytest.fixture
def device(server, guest):
    return lambda **more: IosDataset(server, guest, "settings", **more)


def test_sync_session_token(device):
    """A token lists as often as one likes, and no more after its update."""
    phone = device()
    token = phone.list().json()["SyncSessionToken"]
    assert phone.list(token).status == 200
    patch = {"Op": "replace", "Key": "a", "Value": "1", "SyncCount": 0}
    body = {"RecordPatches": [patch], "SyncSessionToken": token}
    assert phone.ask("POST", "", body).status == 200
    answer = phone.list(token)
    assert answer.error() == (400, "InvalidParameterException")
    assert answer.json()["message"] == "SyncSessionToken not valid for these inputs"


def test_two_devices_meet(device):
    phone, tablet = device(), device()
    phone.set("a", "1")
    phone.synchronize()
    assert phone.last_count == 1
    tablet.synchronize()
    assert tablet.values() == {"a": "1"}
    tablet.remove("a")
    tablet.set("b", "2")
    tablet.synchronize()
    phone.synchronize()
    assert phone.values() == tablet.values() == {"b": "2"}
    assert phone.last_count == tablet.last_count == 2
    phone.set("a", "back")
    phone.synchronize()
    tablet.synchronize()
    assert tablet.values() == {"a": "back", "b": "2"}


@pytest.mark.parametrize("keep", [True, False])
def test_dataset_deleted(device, keep):
    phone, tablet = device(keep_on_deletion=keep), device()
    phone.set("a", "1")
    phone.synchronize()
    tablet.delete()
    phone.synchronize()
    assert phone.deletions_seen == 1
    assert phone.values() == ({"a": "1"} if keep else {})
    tablet.synchronize()
    assert tablet.values() == phone.values()
    phone.synchronize()
    assert phone.deletions_seen == 1, "told once"


def test_dataset_deleted_and_made_again(device):
    phone, tablet = device(), device()
    phone.set("mine", "1")
    phone.synchronize()
    assert phone.last_count == 1
    for number in (1, 2):
        tablet.delete()
        tablet.set(f"theirs-{number}", "1")
        tablet.synchronize()
        listed = phone.list().json()
        assert listed["DatasetDeletedAfterRequestedSyncCount"] is True
        assert [record["Key"] for record in listed["Records"]] == [f"theirs-{number}"]
        # The library's test writes a new key with the count that it was just told.
        patch = {
            "Op": "replace", "Key": f"forced-{number}", "Value": "x",
            "SyncCount": listed["DatasetSyncCount"],
        }
        body = {"RecordPatches": [patch], "SyncSessionToken": listed["SyncSessionToken"]}
        assert phone.ask("POST", "", body).status == 200
        phone.synchronize()
        assert phone.deletions_seen == number
    # It kept what it had and took what it found.
    keys = {"mine", "theirs-1", "forced-1", "theirs-2", "forced-2"}
    assert set(phone.values()) == keys
    tablet.synchronize()
    assert tablet.values() == phone.values()


def test_deleted_made_again_and_deleted(device):
    phone, tablet = device(keep_on_deletion=False), device()
    phone.set("mine", "1")
    phone.synchronize()
    tablet.delete()
    tablet.set("theirs", "1")
    tablet.synchronize()
    tablet.delete()
    listed = phone.list().json()
    assert (listed["DatasetExists"], listed["Records"]) == (False, [])
    assert listed["DatasetDeletedAfterRequestedSyncCount"] is True
    phone.synchronize()
    assert (phone.deletions_seen, phone.values()) == (1, {})


def test_old_changes_that_were_never_sent(device):
    """A device comes back with changes older than the server's: it meets a conflict, and ends."""
    phone, tablet = device(), device()
    phone.set("a", "1")
    phone.synchronize()
    tablet.synchronize()
    for number in range(2, 6):
        tablet.set("a", str(number))
        tablet.synchronize()
    phone.set("a", "old and unsent")
    phone.synchronize()
    assert phone.conflicts_seen == 1
    assert (phone.values(), phone.last_count) == ({"a": "old and unsent"}, 6)
    # The same with a row whose count the device no longer knows.
    phone.rows["a"] = ["older still", 2, True]
    phone.synchronize()
    tablet.synchronize()
    assert tablet.values() == {"a": "older still"}


@pytest.mark.parametrize("ahead", [1, 4])
def test_broken_sync_count(device, ahead):
    """A count above the server's is lowered try by try, on the words of the error."""
    phone = device()
    phone.set("a", "1")
    phone.synchronize()
    phone.last_count += ahead
    phone.set("b", "2")
    phone.synchronize()
    assert phone.values() == {"a": "1", "b": "2"}
    assert phone.last_count == 2


def test_a_sync_count_too_far_ahead_uses_up_the_tries(device):
    phone = device()
    phone.set("a", "1")
    phone.synchronize()
    phone.last_count += 5
    with pytest.raises(SyncFailed):
        phone.synchronize()
    phone.synchronize()
    assert phone.last_count == 1


def test_a_full_dataset_comes_in_one_page(device):
    phone, tablet = device(), device()
    for number in range(1024):
        phone.set(f"key-{number}", "v" * 900)
    phone.synchronize()
    tablet.synchronize()
    assert tablet.values() == phone.values()
    assert len(tablet.values()) == 1024
