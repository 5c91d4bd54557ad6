"""The rebuild proof: a copy that the documented consumer makes of what a sink has is equal to the
server, though the server is killed while it is written, and the sink goes and comes.

Quick by default. SYNCLINE_REBUILD=full has the numbers that are proved; SYNCLINE_REBUILD_LOG names a
file that gets a line for each sink.
"""

import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest
from actors import Developer
from botocore.exceptions import BotoCoreError, ClientError
from server_process import ROOT_KEY, WORKSPACE
from sinks import SINKS, STREAM, BuiltIn, Missing, until
from writers import Writer

EXAMPLES = WORKSPACE / "docs" / "examples"
sys.path.insert(0, str(EXAMPLES))
import rebuild  # noqa: E402

# Writers, kills of the server, stops of the sink, and writes between any two of those.
Numbers = namedtuple("Numbers", "writers kills stops writes")
QUICK = Numbers(4, 3, 2, 40)
FULL = Numbers(8, 10, 5, 300)
NUMBERS = FULL if os.environ.get("SYNCLINE_REBUILD") == "full" else QUICK
# Small segments, and what was published may be published again.
CONFIG = "[engine]\nsegment_bytes = 65536\n[streaming]\nbulk_publish_period_hours = 0\n"


class Copy(rebuild.Rebuild):
    """The documented consumer, which also insists that nothing is left out: each event of a dataset
    is one that came already, or the next one, or the whole dataset."""

    seen = 0
    repeats = 0

    def take(self, event):
        dataset = (event["identityPoolId"], event["identityId"], event["datasetName"])
        find = "select count from datasets where pool = ? and identity = ? and name = ?"
        known = self.database.execute(find, dataset).fetchone()
        count = event["syncCount"]
        if known and count <= known[0]:
            Copy.repeats += not event.get("whole")
        elif known and not event.get("whole"):
            assert count == known[0] + 1, f"{dataset}: {count} comes behind {known[0]}"
        Copy.seen += 1
        super().take(event)


def follow(sink, server, path, until_):
    """Reads into a database, over crashes of the server, and of itself."""
    while not until_.is_set():
        copy = Copy(path, STREAM)
        try:
            sink.read(copy, server)
        except (BotoCoreError, ClientError, OSError, TypeError):
            # The server or the sink is away: what the transaction had not taken over comes again.
            pass
        copy.database.close()
        until_.wait(0.02)


def schedule(numbers):
    """What happens to whom, in order: kills of the server, and stops and starts of the sink."""
    events = [((n + 0.5) / numbers.kills, "kill") for n in range(numbers.kills)]
    events += [((n + 0.1) / numbers.stops, "stop") for n in range(numbers.stops)]
    events += [((n + 0.7) / numbers.stops, "start") for n in range(numbers.stops)]
    return [what for _, what in sorted(events)]


def is_failing(server):
    """Whether the server has noticed that the sink takes nothing."""
    with urllib.request.urlopen(f"{server.url}/metrics") as answer:
        page = answer.read().decode()
    lines = [line for line in page.splitlines() if line.startswith("syncline_stream_failing{")]
    return any(not line.endswith(" 0") for line in lines)


def publish(server, pools):
    developer = Developer(server)
    for pool in pools:
        developer.sync.bulk_publish(IdentityPoolId=pool)


def published(server, pool):
    details = Developer(server).sync.get_bulk_publish_details(IdentityPoolId=pool)
    assert details["BulkPublishStatus"] in ("IN_PROGRESS", "SUCCEEDED"), details
    return details["BulkPublishStatus"] == "SUCCEEDED"


def play(server, sink, pools, writers, path):
    """Everything that happens while it is written and read."""
    ended = threading.Event()

    def more(number):
        enough = sum(writer.written for writer in writers) + number
        while sum(writer.written for writer in writers) < enough:
            assert not any(one.done() for one in (*writing, following)), "none may end"
            time.sleep(0.005)

    with ThreadPoolExecutor(len(writers) + 1) as threads:
        writing = [threads.submit(writer.write, server, ended) for writer in writers]
        following = threads.submit(follow, sink, server, path, ended)
        try:
            # What was there before the stream was is told by the bulk publish alone.
            more(NUMBERS.writes)
            developer = Developer(server)
            for pool in pools:
                streams = {"StreamName": STREAM, "StreamingStatus": "ENABLED"}
                developer.sync.set_identity_pool_configuration(
                    IdentityPoolId=pool, CognitoStreams=streams,
                )
            publish(server, pools)
            for what in schedule(NUMBERS):
                more(NUMBERS.writes)
                if what == "kill":
                    server.restart()
                elif what == "stop":
                    sink.stop()
                    if not isinstance(sink, BuiltIn):
                        until(lambda: is_failing(server), "the sink is missed")
                else:
                    sink.start()
        finally:
            ended.set()
        for one in (*writing, following):
            one.result()


def go_without(why):
    """A run in full is a proof, and what was never tried is not proved."""
    (pytest.fail if NUMBERS is FULL else pytest.skip)(why)


@pytest.fixture
def sink(request, tmp_path):
    try:
        made = SINKS[request.param](tmp_path)
    except Missing as missing:
        go_without(str(missing))
    yield made
    made.end()


@pytest.mark.parametrize("sink", SINKS, indirect=True)
def test_a_copy_is_equal_after_crashes_under_load(
    sink, make_server, tmp_path, monkeypatch, request
):
    began = time.monotonic()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ROOT_KEY[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ROOT_KEY[1])
    Copy.seen = Copy.repeats = 0
    server = make_server(CONFIG + sink.section)
    developer = Developer(server)
    pools = [developer.pool(), developer.pool()]
    other = developer.pool()
    writers = [Writer(developer, (*pools, other)[n % 3], n) for n in range(NUMBERS.writers)]
    path = tmp_path / "copy"
    play(server, sink, pools, writers, path)
    for pool in pools:
        until(lambda pool=pool: published(server, pool), "the bulk publish ends")
    copy = Copy(path, STREAM)

    def is_equal():
        try:
            sink.read(copy, server)
        except ClientError:
            # More reads a second than it allows.
            return False
        return rebuild.differences(copy, server.url)[0] == []

    until(is_equal, "the copy is equal")
    seen = {writer.user.identity for writer in writers if writer.user.pool != other}
    _, compared = rebuild.differences(copy, server.url)
    assert compared == len(seen)
    assert sorted(copy.pools()) == sorted(pools)
    written = sum(writer.written for writer in writers)
    note(request.node.callspec.id, written, compared, time.monotonic() - began)
    if isinstance(sink, BuiltIn):
        compare_as_program(server, path, compared)
    # It would be seen if something were missing.
    with copy.database:
        largest = "(select max(rowid) from records)"
        copy.database.execute(f"update records set value = 'x' where rowid = {largest}")
    different, _ = rebuild.differences(copy, server.url)
    assert len(different) == 1


def compare_as_program(server, path, compared):
    script = [sys.executable, str(EXAMPLES / "rebuild.py"), server.url, STREAM, str(path)]
    done = subprocess.run([*script, "--compare"], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"compared {compared} identities, 0 differ" in done.stdout


def note(sink, written, compared, seconds):
    """A line for the log of the proofs."""
    line = (
        f"{time.strftime('%Y-%m-%d')} {sink}: {NUMBERS.writers} writers made {written} changes, "
        f"{NUMBERS.kills} kills of the server, {NUMBERS.stops} stops of the sink; {Copy.seen} events "
        f"read, {Copy.repeats} of them repeats, none missing; {compared} identities equal, "
        f"after {seconds:.0f} s"
    )
    print(line)
    if log := os.environ.get("SYNCLINE_REBUILD_LOG"):
        with open(log, "a") as out:
            out.write(line + "\n")


@pytest.mark.parametrize(
    ("numbers", "outcome"), [(QUICK, pytest.skip.Exception), (FULL, pytest.fail.Exception)]
)
def test_a_sink_that_is_missing_is_no_proof_in_full(monkeypatch, numbers, outcome):
    monkeypatch.setattr(sys.modules[__name__], "NUMBERS", numbers)
    with pytest.raises(outcome, match="there is no sink"):
        go_without("there is no sink")


def test_a_place_stays_before_a_frame_that_is_not_finished(tmp_path):
    try:
        sink = SINKS["file-zstd"](tmp_path)
    except Missing as missing:
        pytest.skip(str(missing))
    sink.path.mkdir()
    file = sink.path / "2026-11-23-00000001.ndjson.zst"

    def frame(lines):
        done = subprocess.run(["zstd", "-cq"], input=b"".join(lines), capture_output=True, check=True)
        return done.stdout

    class Lines:
        """What was taken over, and up to where."""

        taken, at = [], None

        def place(self):
            return self.at

        def apply(self, records):
            self.taken = self.taken + [record["Data"] for record in records]
            self.at = [records[-1]["SequenceNumber"]]

    copy = Lines()
    first = [b'{"a":1}\n']
    # zstd prints what it has of a frame in steps of 128 KiB.
    second = [b'{"b":"%s"}\n' % os.urandom(20_000).hex().encode() for _ in range(40)]
    file.write_bytes(frame(first))
    assert sink.read(copy, None) == 1
    # The server is killed in the middle of a write, cuts it off, and writes in another order.
    file.write_bytes(frame(first) + frame(second)[:-1000])
    sink.read(copy, None)
    file.write_bytes(frame(first) + frame(second[::-1]))
    sink.read(copy, None)
    assert copy.taken == first + second[::-1]
    # The end of a file that is not the newest is what it is: what was in it came again behind it.
    file.write_bytes(frame(first) + frame(second[::-1]) + frame(second)[:-1000])
    (sink.path / "2026-11-23-00000002.ndjson.zst").write_bytes(frame(second))
    sink.read(copy, None)
    assert copy.taken[:41] == first + second[::-1] and set(second) <= set(copy.taken[41:])
    assert sink.read(copy, None) == 0


def test_the_consumer_notices_what_is_left_out(tmp_path):
    def event(count, **more):
        names = {"identityPoolId": "p", "identityId": "i", "datasetName": "d"}
        records = [{"op": "replace", "key": "k", "value": "v", "syncCount": count}]
        told = {"operation": "replace", "payloadType": "Inline", "kinesisSyncRecords": records}
        return {**names, **told, "syncCount": count, **more}

    copy = Copy(tmp_path / "copy", STREAM)
    for count in (1, 2, 2, 1, 3):
        copy.take(event(count))
    copy.take(event(7, whole=True))
    with pytest.raises(AssertionError, match="9 comes behind 7"):
        copy.take(event(9))
