"""Limits: what just fits is taken, what does not is refused and changes nothing."""

import pytest
from actors import Developer, refused, remove, replace
from signed import call, path

MIB = 1 << 20


def limit_exceeded():
    return refused("LimitExceededException", 400)


def test_twenty_datasets(guest):
    for number in range(20):
        guest.dataset(f"d{number}").update([replace("a", "1")])
    with limit_exceeded():
        guest.dataset("d20").update([replace("a", "1")])
    assert guest.dataset("d20").list()["DatasetExists"] is False
    guest.dataset("d7").update([replace("b", "1")])
    guest.dataset("d7").delete()
    guest.dataset("d20").update([replace("a", "1")])
    with limit_exceeded():
        guest.dataset("d7").update([replace("a", "1")])


def test_1024_records_in_one_answer(guest):
    full = guest.dataset("full")
    full.update([replace(f"k{number:04}", "v") for number in range(1024)])
    with limit_exceeded():
        full.update([replace("one more", "v")])
    listed = full.list()
    assert (listed["Count"], "NextToken" in listed) == (1024, False)
    # A tombstone takes no place, and is listed beside a full dataset.
    full.update([remove("k0000", 1)])
    full.update([replace("one more", "v")])
    listed = full.list()
    assert (listed["Count"], "NextToken" in listed) == (1025, False)
    assert full.describe()["NumRecords"] == 1024


def test_one_mebibyte_in_one_answer(guest):
    full = guest.dataset("full")
    value = "\u00e4" * ((MIB - 1) // 2) + "x"
    full.update([replace("k", value)])
    assert full.describe()["DataStorage"] == MIB
    assert full.values() == {"k": value}
    with limit_exceeded():
        full.update([replace("l", "")])
    with limit_exceeded():
        full.update([replace("k", value + "x", 1)])
    full.update([replace("k", value[:-2], 1), replace("lm", "")])
    assert full.describe()["DataStorage"] == MIB - 1
    full.update([remove("k", 2)])
    assert full.describe()["DataStorage"] == 2


def test_a_full_dataset_of_escapes_still_fits_a_request(server, guest):
    """Each byte takes six in JSON; the body is the largest that can be right."""
    notes = guest.dataset("notes")
    value = "\\u0001" * (MIB - 2)
    body = (
        f'{{"SyncSessionToken":"{notes.token()}","RecordPatches":'
        f'[{{"Op":"replace","Key":"k","SyncCount":0,"Value":"{value}"}}]}}'
    )
    target = path(guest.pool, "identities", guest.identity, "datasets", "notes")
    answer = call(server, guest.key, "POST", target, body)
    assert answer.status == 200, answer.body[:500]
    assert notes.describe()["DataStorage"] == MIB - 1


def test_a_body_beyond_every_right_one_is_refused(server, guest):
    target = path(guest.pool, "identities", guest.identity, "datasets", "notes")
    answer = call(server, guest.key, "POST", target, b" " * (9 * MIB))
    assert answer.error() == (413, "RequestEntityTooLargeException")


def test_keys_and_names_have_their_lengths(server, guest):
    notes = guest.dataset("n" * 128)
    key = "\u00e4" * 1024
    notes.update([replace(key, "v")])
    assert notes.values() == {key: "v"}
    with refused("InvalidParameterException", 400):
        notes.update([replace(key + "x", "v")])
    notes.update([replace("device", "v")], DeviceId="d" * 256)
    for name in ("n" * 129, "a b", "\u00e4", "a%2Fb", "a/b", "$"):
        target = path(guest.pool, "identities", guest.identity, "datasets", name)
        answer = call(server, guest.key, "GET", target)
        assert answer.error() == (400, "InvalidParameterException"), name
        assert "datasetName" in answer.json()["message"]


@pytest.mark.parametrize(
    "limits, patches, allowed",
    [
        ("records_per_dataset = 2", ["a", "b", "c"], 2),
        ("dataset_bytes = 10", ["1234", "5678", "9"], 2),
        ("pool_bytes = 10", ["1234", "5678", "9"], 2),
        ("datasets_per_identity = 2", ["a", "b", "c"], 2),
    ],
)
def test_limits_are_configured(make_server, limits, patches, allowed):
    developer = Developer(make_server(f"[limits]\n{limits}\n"))
    guest = developer.guest(developer.pool())
    each_its_own = "datasets" in limits
    for number, key in enumerate(patches):
        notes = guest.dataset(f"d{number}" if each_its_own else "notes")
        if number < allowed:
            notes.update([replace(key, "v")])
        else:
            with limit_exceeded():
                notes.update([replace(key, "vv")])


def test_guests_are_limited_in_rate_and_pools_in_size(make_server):
    developer = Developer(make_server("[limits]\nidentities_per_pool = 3\n"))
    pool = developer.pool()
    users = [developer.guest(pool), developer.guest(pool), developer.user(pool, "ann")]
    with refused("LimitExceededException", 400):
        developer.guest(pool)
    with refused("LimitExceededException", 400):
        developer.user(pool, "bob")
    assert developer.user(pool, "ann").identity == users[2].identity
    developer.guest(developer.pool())

    developer = Developer(make_server("[limits]\nguest_identities_per_second = 1\n"))
    pool = developer.pool()
    with refused("TooManyRequestsException", 400):
        for _ in range(100_000):
            developer.identity.get_id(IdentityPoolId=pool)
    # Who proves a login is no guest.
    developer.user(pool)
