"""What a patch list may hold, and when it is refused."""

import pytest
from actors import refused, remove, replace
from signed import call, path


@pytest.fixture
def notes(guest):
    return guest.dataset("notes")


def test_a_list_is_applied_whole_or_not_at_all(notes):
    notes.update([replace("a", "1"), replace("b", "1")])
    notes.update([replace("b", "2", 1)])
    with refused("ResourceConflictException", 409, "Current SyncCount for: b is: 2 not: 1"):
        notes.update([replace("a", "2", 1), replace("b", "3", 1), replace("c", "1", 9)])
    assert notes.values() == {"a": "1", "b": "2"}
    assert notes.list()["DatasetSyncCount"] == 2


def test_records_are_answered_in_the_order_of_the_patches(notes):
    keys = ["m", "a", "z", "b"]
    written = notes.update([replace(key, "v") for key in keys])
    assert [record["Key"] for record in written] == keys
    written = notes.update([remove("z", 1), replace("c", "v"), remove("a", 1)])
    assert [record["Key"] for record in written] == ["z", "c", "a"]


def test_the_compare_is_per_record(notes):
    notes.update([replace("a", "1"), replace("b", "1")])
    notes.update([replace("b", "2", 1)])
    assert notes.update([replace("a", "2", 1)])[0]["SyncCount"] == 3


def test_equal_values_are_written_and_compared_like_others(notes):
    notes.update([replace("a", "same")])
    assert notes.update([replace("a", "same", 1)])[0]["SyncCount"] == 2
    with refused("ResourceConflictException", 409, "Current SyncCount for: a is: 2 not: 1"):
        notes.update([replace("a", "same", 1)])


def test_a_new_key_may_carry_any_count_up_to_the_datasets(notes):
    notes.update([replace("a", "1")])
    notes.update([replace("a", "2", 1)])
    written = notes.update([replace("b", "1", 0), replace("c", "1", 1), replace("d", "1", 2)])
    assert {record["SyncCount"] for record in written} == {3}
    with refused("ResourceConflictException", 409, "Current SyncCount for: e is: 0 not: 4"):
        notes.update([replace("e", "1", 4)])


def test_a_count_from_before_a_deletion_resurrects_nothing(notes):
    for count in range(3):
        notes.update([replace("a", str(count), count)])
    notes.delete()
    with refused("ResourceConflictException", 409, "Current SyncCount for: a is: 0 not: 3"):
        notes.update([replace("a", "old", 3)])
    notes.update([replace("a", "told of the deletion", 4)])
    notes.update([replace("b", "never knew")])
    assert notes.counts() == {"a": 5, "b": 6}


def test_a_tombstone_keeps_its_count(notes):
    notes.update([replace("a", "1")])
    (removed,) = notes.update([remove("a", 1)])
    assert removed["SyncCount"] == 2
    with refused("ResourceConflictException", 409, "Current SyncCount for: a is: 2 not: 0"):
        notes.update([replace("a", "again", 0)])
    assert notes.update([replace("a", "again", 2)])[0]["SyncCount"] == 3


def test_removing_what_never_was_leaves_a_tombstone(notes):
    (removed,) = notes.update([remove("ghost", 0)])
    assert (removed["SyncCount"], "Value" in removed) == (1, False)
    assert notes.values() == {"ghost": None}
    described = notes.describe()
    assert (described["NumRecords"], described["DataStorage"]) == (0, 0)


def test_a_remove_may_carry_a_value(notes):
    notes.update([replace("a", "1")])
    (removed,) = notes.update([remove("a", 1, Value="")])
    assert "Value" not in removed


def test_an_empty_value_is_a_value(notes):
    (written,) = notes.update([replace("a", "")])
    assert written["Value"] == ""
    assert notes.values() == {"a": ""}


def test_a_key_may_come_once(notes):
    with refused("InvalidParameterException", 400) as refusal:
        notes.update([replace("a", "1"), replace("b", "1"), remove("a", 0)])
    assert "'a'" in refusal.message
    assert notes.list()["DatasetExists"] is False


def test_no_patches_change_nothing_and_spend_nothing(notes):
    token = notes.token()
    assert notes.update([], token) == []
    without = notes.sync.update_records(**notes.names, SyncSessionToken=token)
    assert without["Records"] == []
    assert notes.list()["DatasetExists"] is False
    notes.update([replace("a", "1")], token)
    assert notes.list()["DatasetSyncCount"] == 1


def test_the_time_of_the_device_and_its_name_come_back(guest, developer):
    notes = guest.dataset("notes")
    (written,) = notes.update(
        [replace("a", "1", DeviceLastModifiedDate=1700574873.059)], DeviceId="phone-7"
    )
    assert written["DeviceLastModifiedDate"].timestamp() == 1700574873.059
    assert written["LastModifiedBy"] == "phone-7"
    assert notes.list()["Records"] == [written]
    assert notes.list()["LastModifiedBy"] == "phone-7"
    (unsaid,) = notes.update([replace("b", "1")])
    assert unsaid["DeviceLastModifiedDate"] == unsaid["LastModifiedDate"]
    assert unsaid["LastModifiedBy"] == guest.identity
    by_developer = developer.on(guest.pool, guest.identity, "notes")
    (foreign,) = by_developer.update([replace("c", "1")])
    assert foreign["LastModifiedBy"] == "000000000000"
    assert notes.describe()["LastModifiedBy"] == "000000000000"


@pytest.mark.parametrize("date", ["1700574873", "1700574873.059123", "1.700574873059E9"])
def test_times_of_every_form_are_read(server, guest, date):
    notes = guest.dataset("notes")
    body = (
        '{"RecordPatches":[{"Op":"replace","Key":"k","Value":"v","SyncCount":0,'
        f'"DeviceLastModifiedDate":{date}}}],"SyncSessionToken":"{notes.token()}"}}'
    )
    target = path(guest.pool, "identities", guest.identity, "datasets", "notes")
    answer = call(server, guest.key, "POST", target, body)
    assert answer.status == 200, answer.body
    back = answer.json()["Records"][0]["DeviceLastModifiedDate"]
    assert abs(back - float(date)) < 0.001


TEXTS = ["ключ", "鍵", "🗝️", "e\u0301", "\u00e9", "\x00\x01", '"\\/', "a b+c%20", "\u2028\ufeff"]


def test_keys_and_values_are_any_text(notes):
    notes.update([replace(text, text[::-1]) for text in TEXTS])
    assert notes.values() == {text: text[::-1] for text in TEXTS}
    assert len(notes.values()) == len(TEXTS), "nothing is normalised"
    size = sum(len((text + text).encode()) for text in TEXTS)
    assert notes.describe()["DataStorage"] == size


BAD = [
    ("{", "SerializationException", None),
    ('{"SyncSessionToken":"%s","SyncSessionToken":"x"}', "SerializationException", None),
    ('{"SyncSessionToken":"%s","RecordPatches":[{"Op":"remove","Key":"k","Key":"l",'
     '"SyncCount":0}]}', "SerializationException", None),
    ("[]", "SerializationException", None),
    ('{"SyncSessionToken":7}', "SerializationException", None),
    ('{"SyncSessionToken":"%s","RecordPatches":{}}', "SerializationException", None),
    ('{"SyncSessionToken":"%s","RecordPatches":[7]}', "SerializationException", None),
    ('{"SyncSessionToken":"%s","RecordPatches":[{"Op":"replace","Key":"k","Value":"v",'
     '"SyncCount":"0"}]}', "SerializationException", None),
    ('{"SyncSessionToken":"%s","RecordPatches":[{"Op":"replace","Key":"k","Value":"v",'
     '"SyncCount":0.5}]}', "SerializationException", None),
    ('{"SyncSessionToken":"%s","RecordPatches":[{"Op":"replace","Key":"k","SyncCount":0}]}',
     "InvalidParameterException", "recordPatches.1.member.value"),
    ('{"SyncSessionToken":"%s","RecordPatches":[{"Op":"replace","Key":"k","Value":null,'
     '"SyncCount":0}]}', "InvalidParameterException", "recordPatches.1.member.value"),
    ('{"SyncSessionToken":"%s","RecordPatches":[{"Op":"put","Key":"k","Value":"v",'
     '"SyncCount":0}]}', "InvalidParameterException", "[replace, remove]"),
    ('{"SyncSessionToken":"%s","RecordPatches":[{"Op":"remove","Key":"","SyncCount":0}]}',
     "InvalidParameterException", "recordPatches.1.member.key"),
    ('{"SyncSessionToken":"%s","RecordPatches":[{"Op":"remove","Key":"k","SyncCount":-1}]}',
     "InvalidParameterException", "recordPatches.1.member.syncCount"),
    ('{"SyncSessionToken":"%s","RecordPatches":[{"Op":"remove","Key":"k"},'
     '{"Op":"remove","SyncCount":0}]}', "InvalidParameterException", "2 validation errors"),
    ('{"RecordPatches":[]}', "InvalidParameterException", "syncSessionToken"),
]


@pytest.mark.parametrize("body, name, words", BAD)
def test_bad_bodies_get_their_error_and_change_nothing(server, guest, body, name, words):
    notes = guest.dataset("notes")
    if "%s" in body:
        body = body % notes.token()
    target = path(guest.pool, "identities", guest.identity, "datasets", "notes")
    answer = call(server, guest.key, "POST", target, body)
    assert answer.error() == (400, name), answer.body
    if words:
        assert words in answer.json()["message"]
        assert "validation error" in answer.json()["message"]
    assert notes.list()["DatasetExists"] is False


def test_a_body_that_is_not_utf8_is_refused(server, guest):
    target = path(guest.pool, "identities", guest.identity, "datasets", "notes")
    answer = call(server, guest.key, "POST", target, b'{"SyncSessionToken":"\xff"}')
    assert answer.error() == (400, "SerializationException")
