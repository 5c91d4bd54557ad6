"""kill -9 under load, again and again: every acknowledged write is there afterwards."""

import random
import threading

import pytest
from actors import Dataset, Developer, client, replace
from botocore.exceptions import BotoCoreError

ROUNDS = 10
WRITERS = 6
# Small segments, so that the log is cut and rotated under the crashes too.
CONFIG = "[engine]\nsegment_bytes = 65536\n"


class Writer:
    """One client that counts up in one dataset, and remembers what was acknowledged."""

    def __init__(self, user):
        self.user = user
        self.acknowledged = 0
        self.size = 0

    def dataset(self):
        return Dataset(self.user.sync, self.user.pool, self.user.identity, "counter")

    def write(self, written):
        """Writes until the server is gone."""
        dataset = self.dataset()
        try:
            while True:
                listed = dataset.list()
                count = listed["DatasetSyncCount"]
                value = str(count + 1).ljust(200, ".")
                patch = replace("value", value, count)
                dataset.update([patch], listed["SyncSessionToken"])
                self.acknowledged = count + 1
                written.release()
        except BotoCoreError:
            return

    def check(self):
        """What is there is the last acknowledged write, or the one that was under way."""
        listed = self.dataset().list()
        count = listed["DatasetSyncCount"]
        assert count in (self.acknowledged, self.acknowledged + 1)
        for record in listed["Records"]:
            assert record["SyncCount"] == count
            assert record["Value"] == str(count).ljust(200, ".")
        usage = self.user.sync.describe_identity_usage(**self.user.names)["IdentityUsage"]
        assert usage["DataStorage"] == (len("value") + 200 if count else 0)
        self.acknowledged = count


@pytest.mark.parametrize("config", ["", CONFIG], ids=["defaults", "small segments"])
def test_nothing_acknowledged_is_lost(make_server, config):
    chance = random.Random(9)
    server = make_server(config)
    developer = Developer(server)
    pool = developer.pool()
    writers = [Writer(developer.guest(pool)) for _ in range(WRITERS)]
    for _ in range(ROUNDS):
        written = threading.Semaphore(0)
        threads = [threading.Thread(target=writer.write, args=(written,)) for writer in writers]
        for thread in threads:
            thread.start()
        for _ in range(chance.randint(1, 120)):
            written.acquire()
        server.kill()
        for thread in threads:
            thread.join()
        server.start()
        for writer in writers:
            writer.user.sync = client("cognito-sync", server.url, writer.user.key)
            writer.check()
    assert sum(writer.acknowledged for writer in writers) >= ROUNDS
