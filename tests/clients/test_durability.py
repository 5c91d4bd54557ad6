"""An answer comes after the sync of what it acknowledges: seen from outside, system call by call."""

import pytest
import system_calls
from actors import Developer, remove, replace


def test_the_log_is_synced_before_the_answer(make_server, tmp_path):
    if reason := system_calls.why_not(tmp_path):
        pytest.skip(reason)
    output = tmp_path / "trace"
    server = make_server(wrapper=system_calls.wrapper(output))
    developer = Developer(server)
    guest = developer.guest(developer.pool())
    for number in range(5):
        dataset = guest.dataset(f"traced-{number}")
        dataset.update([replace("a", "1")])
        dataset.update([remove("a", 1)], DeviceId="second")
    guest.dataset("traced-0").delete()
    assert server.stop() == 0
    text = output.read_text()
    trace = system_calls.calls(text)
    one = f"{guest.identity.replace(':', '%3A')}/datasets/traced-"
    requests = [f"DELETE /identitypools/{guest.pool.replace(':', '%3A')}/identities/{one}0 "]
    assert system_calls.answered_before_durable(trace, requests[0]) is None
    posts = [c for c in trace if f"/identities/{one}" in c.arguments and '"POST ' in c.arguments]
    assert len(posts) == 10
    for post in posts:
        earlier_gone = [c for c in trace if c.began >= post.began]
        words = post.arguments[post.arguments.index("POST ") :][:200]
        first = [c for c in earlier_gone if c is post or words not in c.arguments]
        assert system_calls.answered_before_durable(first, words) is None

    # The same trace without its syncs must not pass: the check looks at what it says it does.
    without = [c for c in trace if c.name not in system_calls.SYNCS]
    found = system_calls.answered_before_durable(without, requests[0])
    assert found.endswith("was written and not synced before the answer")
    early = [c for c in trace if c.name not in system_calls.WRITES or not c.segment]
    found = system_calls.answered_before_durable(early, requests[0])
    assert found == "nothing was written to the log before the answer"


TRACE = """\
7 recvfrom(9<socket:[1]>, "POST /x HTTP/1.1", 8192, 0, NULL, NULL) = 16
8 pwritev(5</d/hot/00000001.log>, [{iov_base="f", iov_len=1}], 1, 4096) = 1
8 fdatasync(5</d/hot/00000001.log> <unfinished ...>
7 recvfrom(10<socket:[2]>, "GET /y HTTP/1.1", 8192, 0, NULL, NULL) = 15
8 <... fdatasync resumed>) = 0
7 writev(9<socket:[1]>, [{iov_base="HTTP/1.1 200 OK", iov_len=15}], 1) = 15
"""


def test_the_check_tells_right_from_wrong():
    def check(text):
        return system_calls.answered_before_durable(system_calls.calls(text), "POST /x")

    lines = TRACE.splitlines()
    assert check(TRACE) is None
    unsynced = "\n".join(line for line in lines if "fdatasync" not in line)
    assert "not synced" in check(unsynced)
    too_late = "\n".join(lines[:4] + [lines[5], lines[4]])
    assert "not synced" in check(too_late)
    before_the_write = "\n".join([lines[0], lines[2], lines[4], lines[1], lines[5]])
    assert "not synced" in check(before_the_write)
    another_file = TRACE.replace("fdatasync(5</d/hot/00000001", "fdatasync(6</d/hot/00000002")
    assert "not synced" in check(another_file)
    failed = TRACE.replace("resumed>) = 0", "resumed>) = -1 EIO (Input/output error)")
    assert "not synced" in check(failed)
    assert check(TRACE.replace("pwritev", "preadv")).startswith("nothing was written")
    assert check(TRACE.replace("200 OK", "409 Conflict")) == "the answer was not seen"
