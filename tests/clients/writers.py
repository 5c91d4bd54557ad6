"""Users that write at random while the server is killed, again and again."""

import random

from actors import client, remove, replace
from botocore.exceptions import BotoCoreError


class Writer:
    """A user that writes, removes and deletes at random, and goes on after a crash."""

    def __init__(self, developer, pool, seed):
        self.user = developer.guest(pool)
        self.chance = random.Random(seed)
        self.written = 0

    def write(self, server, until):
        """Writes until it is told to end; waits for the server where it is down."""
        while not until.is_set():
            try:
                self.user.sync = client("cognito-sync", server.url, self.user.key)
                while not until.is_set():
                    self.step()
                    self.written += 1
            except (BotoCoreError, TypeError):
                until.wait(0.01)

    def step(self):
        dataset = self.user.dataset(f"d{self.chance.randrange(3)}")
        listed = dataset.list()
        if listed["DatasetExists"] and self.chance.random() < 0.1:
            dataset.delete()
            return
        counts = {record["Key"]: record["SyncCount"] for record in listed["Records"]}
        patches = []
        for key in self.chance.sample(["a", "b", "c", "d", "e"], self.chance.randint(1, 3)):
            if self.chance.random() < 0.3:
                patches.append(remove(key, counts.get(key, 0)))
            else:
                patches.append(replace(key, str(self.chance.random()), counts.get(key, 0)))
        dataset.update(patches, listed["SyncSessionToken"])
