"""Sixteen clients at once: nothing is lost, and the count rises by one for each success."""

import threading

from actors import Dataset, client, replace

CLIENTS = 16
ROUNDS = 15


def together(work, arguments):
    """Runs one thread for each argument, all begun at once; any failure is the test's."""
    start, failures = threading.Barrier(len(arguments)), []

    def run(argument):
        try:
            start.wait()
            work(argument)
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(argument,)) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def own_connection(user, name):
    """The same user on a device of its own."""
    sync = client("cognito-sync", user.sync.meta.endpoint_url, user.key)
    return Dataset(sync, user.pool, user.identity, name)


def add_one(dataset, key):
    """Reads, adds one and writes until nobody came in between; returns the record and how often
    someone did."""
    conflicts = 0
    while True:
        listed = dataset.list()
        found = {record["Key"]: record for record in listed["Records"]}.get(key)
        value, count = (int(found["Value"]), found["SyncCount"]) if found else (0, 0)
        patch = replace(key, str(value + 1), count)
        try:
            (written,) = dataset.update([patch], listed["SyncSessionToken"])
            return written, conflicts
        except dataset.sync.exceptions.ResourceConflictException:
            conflicts += 1


def test_one_record_of_one_dataset(guest):
    written, conflicts = [], []

    def work(dataset):
        for _ in range(ROUNDS):
            record, met = add_one(dataset, "counter")
            written.append((record["SyncCount"], int(record["Value"])))
            conflicts.append(met)

    together(work, [own_connection(guest, "shared") for _ in range(CLIENTS)])
    total = CLIENTS * ROUNDS
    assert sorted(written) == [(number, number) for number in range(1, total + 1)]
    assert guest.dataset("shared").values() == {"counter": str(total)}
    assert guest.dataset("shared").list()["DatasetSyncCount"] == total
    assert sum(conflicts) > 0, "the clients never met, so this shows nothing"


def test_records_of_their_own_in_one_dataset(guest):
    counts = []

    def work(numbered):
        number, dataset = numbered
        for _ in range(ROUNDS):
            written, conflicts = add_one(dataset, f"counter-{number}")
            assert conflicts == 0, "the compare is per record"
            counts.append(written["SyncCount"])

    together(work, list(enumerate(own_connection(guest, "shared") for _ in range(CLIENTS))))
    assert sorted(counts) == list(range(1, CLIENTS * ROUNDS + 1))
    expected = {f"counter-{number}": str(ROUNDS) for number in range(CLIENTS)}
    assert guest.dataset("shared").values() == expected


def test_datasets_of_their_own(developer, pool):
    users = [developer.guest(pool) for _ in range(CLIENTS)]

    def work(user):
        dataset = user.dataset("own")
        for number in range(1, ROUNDS + 1):
            written, conflicts = add_one(dataset, "counter")
            assert (written["SyncCount"], conflicts) == (number, 0)

    together(work, users)
    for user in users:
        assert user.dataset("own").values() == {"counter": str(ROUNDS)}
        assert user.dataset("own").list()["DatasetSyncCount"] == ROUNDS


def test_one_user_signing_in_everywhere_at_once_has_one_identity(developer, pool):
    identities = []
    clients = [client("cognito-identity", developer.server.url, developer.key)
               for _ in range(CLIENTS)]

    def work(identity):
        answer = identity.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool, Logins={"login.example.app": "ann"}
        )
        identities.append(answer["IdentityId"])

    together(work, clients)
    assert len(identities) == CLIENTS and len(set(identities)) == 1
