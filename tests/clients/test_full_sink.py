"""The disk of a sink of files becomes full: it is said what to do, nobody else notices, and when
there is room again everything arrives."""

import pytest
from actors import Developer, replace
from mounted import Disk
from server_process import ROOT_KEY
from signed import call
from sinks import SINKS, STREAM, Missing, until
from test_rebuild import Copy, is_failing

WRITES = 60


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path, 8)
    if reason := made.mount():
        made.unmount()
        pytest.skip(reason)
    yield made
    made.unmount()


@pytest.mark.parametrize("kind", ["file", "file-zstd"])
def test_a_full_disk_holds_nobody_up_and_loses_nothing(disk, make_server, tmp_path, kind):
    try:
        sink = SINKS[kind](disk.path)
    except Missing as missing:
        pytest.skip(str(missing))
    server = make_server(sink.section)
    developer = Developer(server)
    pool = developer.pool()
    guest = developer.guest(pool)
    streams = {"StreamName": STREAM, "StreamingStatus": "ENABLED"}
    developer.sync.set_identity_pool_configuration(IdentityPoolId=pool, CognitoStreams=streams)
    copy, count = Copy(tmp_path / "copy", STREAM), 0

    def write(times):
        nonlocal count
        for _ in range(times):
            guest.dataset("d").update([replace("k", f"{count}" + "x" * 1000, count)])
            count += 1

    def arrived():
        sink.read(copy, server)
        return copy.datasets(pool, guest.identity) == {"d": {"k": (value(), count)}}

    def value():
        return guest.dataset("d").values()["k"]

    write(WRITES)
    until(arrived, "what there was room for")
    disk.fill()
    # The file that is written may have some room left; its bytes are counted in blocks.
    until(lambda: write(WRITES) or is_failing(server), "there is no room")
    write(WRITES)
    # Whoever reads the stream meanwhile has whole events, and who writes is answered.
    sink.read(copy, server)
    settings = developer.sync.get_identity_pool_configuration(IdentityPoolId=pool)
    assert settings["CognitoStreams"]["StreamingStatus"] == "ENABLED"
    assert call(server, ROOT_KEY, "GET", "/healthz").status == 200
    # A crash while it is full is no different.
    server.restart()
    guest.reconnect(server)
    write(1)
    until(lambda: is_failing(server), "there is no room after a crash")
    disk.empty()
    until(arrived, "everything")
    until(lambda: not is_failing(server), "the sink takes events again")
    assert server.stop() == 0
    log = server.log.read_text()
    assert "No space left on device" in log
    assert "make space: the stream goes on by itself" in log
    assert " ERROR " not in log
    # The copy has insisted that no event is missing.
    assert Copy.seen >= count
