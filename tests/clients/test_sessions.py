"""Session tokens: what they allow, how they are spent, and that they outlive the server."""

import threading

import pytest
from actors import Developer, refused, replace

NOT_VALID = "SyncSessionToken not valid for these inputs"


def not_valid():
    return refused("InvalidParameterException", 400, NOT_VALID)


@pytest.fixture
def notes(guest):
    return guest.dataset("notes")


def test_a_token_is_spent_by_success_only(notes):
    token = notes.token()
    notes.update([replace("a", "1")])
    with refused("ResourceConflictException", 409):
        notes.update([replace("a", "2", 0)], token)
    assert notes.list(SyncSessionToken=token)["DatasetSyncCount"] == 1
    notes.update([replace("a", "2", 1)], token)
    with not_valid():
        notes.update([replace("a", "3", 2)], token)
    with not_valid():
        notes.list(SyncSessionToken=token)


def test_a_listing_with_a_token_keeps_the_session(notes):
    token = notes.token()
    again = notes.list(SyncSessionToken=token)["SyncSessionToken"]
    notes.update([replace("a", "1")], again)
    with not_valid():
        notes.update([replace("b", "1")], token)


def test_two_sessions_may_both_commit(notes):
    one, two = notes.token(), notes.token()
    notes.update([replace("a", "1")], one)
    notes.update([replace("b", "1")], two)
    assert notes.counts() == {"a": 1, "b": 2}


def test_a_token_belongs_to_its_dataset_identity_and_pool(developer, pool, guest, notes):
    token = notes.token()
    stranger = developer.guest(pool)
    abroad = developer.guest(developer.pool())
    for other in (guest.dataset("other"), stranger.dataset("notes"), abroad.dataset("notes")):
        with not_valid():
            other.update([replace("a", "1")], token)
        with not_valid():
            other.list(SyncSessionToken=token)
    # Whoever may act for the identity may use its session.
    developer.on(pool, guest.identity, "notes").update([replace("a", "1")], token)


def test_what_is_no_token_is_refused(notes):
    token = notes.token()
    middle = len(token) // 2
    changed = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for bad in ("x", changed, token[:-1], token + "A", token.upper(), "\u00fc", "A" * 5000):
        with not_valid():
            notes.update([replace("a", "1")], bad)


def test_tokens_are_short_enough_for_a_query(developer, guest):
    assert len(guest.dataset("n" * 128).token()) <= 400


def test_a_token_survives_the_deletion_of_its_dataset(notes):
    notes.update([replace("a", "1")])
    token = notes.token()
    notes.delete()
    notes.update([replace("b", "1", 2)], token)
    assert notes.counts() == {"b": 3}


def test_tokens_open_and_spent_outlive_a_crash(server, developer, guest, notes):
    spent, still_open = notes.token(), notes.token()
    notes.update([replace("a", "1")], spent)
    server.restart()
    guest.reconnect(server)
    notes = guest.dataset("notes")
    with not_valid():
        notes.update([replace("b", "1")], spent)
    notes.update([replace("b", "1")], still_open)
    assert notes.counts() == {"a": 1, "b": 2}


def test_of_many_updates_with_one_token_one_succeeds(developer, guest, notes):
    token = notes.token()
    developers = [Developer(developer.server) for _ in range(8)]
    datasets = [each.on(guest.pool, guest.identity, "notes") for each in developers]
    start, answers = threading.Barrier(len(datasets)), []

    def write(number, dataset):
        start.wait()
        try:
            dataset.update([replace(f"k{number}", "v")], token)
            answers.append("written")
        except dataset.sync.exceptions.InvalidParameterException as error:
            answers.append(error.response["Error"]["Message"])

    threads = [
        threading.Thread(target=write, args=(number, dataset))
        for number, dataset in enumerate(datasets)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [NOT_VALID] * (len(datasets) - 1) + ["written"]
    assert notes.list()["Count"] == 1
