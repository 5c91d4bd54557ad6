"""Functions, webhooks, SNS and streams of events, with the clients that users have."""

import json
import pathlib
import re
import shutil
import subprocess
import threading
import time
import urllib.request

import boto3
import pytest
from actors import Developer, replace
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from services import SECRET, Sns, with_function

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "WEBHOOKS.md"
GCM = "arn:aws:sns:us-east-1:123456789012:app/GCM/game"
APNS = "arn:aws:sns:us-east-1:123456789012:app/APNS/game"


@pytest.fixture
def moto():
    made = Sns()
    yield made
    made.stop()


def snippet(language):
    """The code block of a language in the document."""
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return found.group(1)


def test_the_snippets_tell_who_sends(make_server, service, tmp_path):
    _, user = with_function(make_server, service)
    user.dataset("saves").update([replace("level", "7")])
    headers, body = service.seen[0]
    later = headers | {"x-syncline-timestamp": str(int(time.time()) - 301)}
    cases = [
        (SECRET, headers, body, True),
        ("another", headers, body, False),
        (SECRET, headers, body.replace(b"7", b"8"), False),
        (SECRET, later, body, False),
        (SECRET, {}, body, False),
        (SECRET, headers | {"x-syncline-timestamp": "\u00b2"}, body, False),
        (SECRET, headers | {"x-syncline-signature": "v1=\u00fc"}, body, False),
    ]
    names = {}
    exec(snippet("python"), names)
    for secret, sent, content, expected in cases:
        assert names["is_from_syncline"](secret, sent, content) is expected
    if not shutil.which("node"):
        pytest.skip("no Node")
    script = tmp_path / "verify.mjs"
    script.write_text(
        snippet("js")
        + """
let text = "";
for await (const part of process.stdin) text += part;
const asked = JSON.parse(text);
const answer = ([secret, headers, body]) => isFromSyncline(secret, headers, Buffer.from(body));
console.log(JSON.stringify(asked.map(answer)));
"""
    )
    asked = json.dumps([[secret, sent, content.decode()] for secret, sent, content, _ in cases])
    run = subprocess.run(
        ["node", str(script)], input=asked, capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == [expected for *_, expected in cases]


class Stream:
    """A stream of events, opened as a browser's EventSource does: by a signed URL alone."""

    def __init__(self, server, user, datasets):
        pool, identity = (name.replace(":", "%3A") for name in (user.pool, user.identity))
        path = f"/syncline/v1/pools/{pool}/identities/{identity}/events?datasets={datasets}"
        request = AWSRequest("GET", server.url + path)
        SigV4QueryAuth(Credentials(*user.key), "cognito-sync", "us-east-1", expires=60).add_auth(request)
        # The limit only keeps a failing test from waiting for ever.
        self.answer = urllib.request.urlopen(request.prepare().url, timeout=300)
        assert self.answer.headers["content-type"] == "text/event-stream"

    def next(self):
        """The data of the next event."""
        for line in self.answer:
            if line.startswith(b"data: "):
                return json.loads(line.removeprefix(b"data: "))
        return None


def phone(user, platform, token):
    """A device that follows the user's saves."""
    device = user.sync.register_device(**user.names, Platform=platform, Token=token)["DeviceId"]
    user.sync.subscribe_to_dataset(**user.names, DatasetName="saves", DeviceId=device)
    return device


def test_the_other_devices_are_told_by_webhook_sns_and_stream(make_server, service, moto):
    with_application(moto)
    webhook = f'[push."{GCM}"]\ntype = "webhook"\nurl = "{service.url}"\n'
    server = make_server(webhook + moto.section(APNS))
    user = with_push(server, [GCM, APNS])
    saves = user.dataset("saves")
    saves.update([replace("level", "1")])
    # Else who follows from now on might be told of that, too.
    until_push_is_level(server)
    writer = phone(user, "GCM", "token of the writer")
    other = phone(user, "GCM", "token of another")
    tablet = phone(user, "APNS", "ab" * 32)
    stream = Stream(server, user, "saves")
    assert stream.next()["syncCount"] == 1
    saves.update([replace("level", "2", 1)], DeviceId=writer)
    assert stream.next() == {"datasetName": "saves", "syncCount": 2, "datasetExists": True}
    messages = json.loads(service.has_seen(1)[0][1])["messages"]
    assert [message["deviceId"] for message in messages] == [other]
    fields = {
        "source": "cognito-sync",
        "identityPoolId": user.pool,
        "identityId": user.identity,
        "datasetName": "saves",
        "syncCount": "2",
    }
    assert messages[0].items() >= fields.items()
    token = "ab" * 32
    told = until(lambda: moto.sent().get(token))
    assert told == [{"aps": {"content-available": 1}, "data": fields}]
    assert tablet not in (writer, other)
    assert len(service.seen) == 1
    # A service that is away when the server is killed is told when both are back.
    service.answer = lambda batch: (503, {})
    saves.update([replace("level", "3", 2)], DeviceId=writer)
    before = len(service.has_seen(2))
    server.kill()
    service.answer = lambda batch: (200, {})
    server.start()
    # What was told already may be told again.
    heard = set()
    while (other, "3") not in heard:
        messages = json.loads(service.has_seen(before + 1)[before][1])["messages"]
        heard |= {(message["deviceId"], message["syncCount"]) for message in messages}
        before += 1


def test_endpoints_that_sns_has_already_are_used(make_server, moto):
    sns = with_application(moto)
    token = "cd" * 32
    # As whoever moves here has it: made by somebody else, and disabled meanwhile.
    made = sns.create_platform_endpoint(PlatformApplicationArn=APNS, Token=token, CustomUserData="x")
    endpoint = made["EndpointArn"]
    sns.set_endpoint_attributes(EndpointArn=endpoint, Attributes={"Enabled": "false"})
    server = make_server(moto.section(APNS))
    user = with_push(server, [APNS])
    saves = user.dataset("saves")
    saves.update([replace("level", "1")])
    until_push_is_level(server)
    device = phone(user, "APNS", token)
    saves.update([replace("level", "2", 1)])
    told = until(lambda: moto.sent()[token])
    assert [told["data"]["syncCount"] for told in told] == ["2"]
    attributes = sns.get_endpoint_attributes(EndpointArn=endpoint)["Attributes"]
    assert attributes["Enabled"] == "true"
    # A server that has forgotten the endpoint finds it again.
    server.kill()
    server.start()
    user.reconnect(server)
    user.dataset("saves").update([replace("level", "3", 2)])
    # What was told already may be told again.
    until(lambda: "3" in (told["data"]["syncCount"] for told in moto.sent()[token]))
    assert list(moto.backend.platform_endpoints) == [endpoint]
    user.sync.subscribe_to_dataset(**user.names, DatasetName="saves", DeviceId=device)


def test_what_sns_was_not_sent_before_a_kill_it_is_sent_after_it(make_server, moto):
    with_application(moto)
    server = make_server(moto.section(APNS))
    user = with_push(server, [APNS])
    saves = user.dataset("saves")
    saves.update([replace("level", "1")])
    until_push_is_level(server)
    tokens = [digits * 32 for digits in ("ab", "cd", "ef")]
    known, new = tokens[:2], tokens[2]
    devices = {token: phone(user, "APNS", token) for token in known}
    saves.update([replace("level", "2", 1)])
    until(lambda: all(moto.sent().get(token) for token in known))
    moto.stop()
    # One whose endpoint is to be made still, and one that makes the change itself.
    devices[new] = phone(user, "APNS", new)
    writer = devices[known[1]]
    saves.update([replace("level", "3", 2)], DeviceId=writer)
    # Tried, and in vain.
    until(lambda: figure(server, "retried") > 0)
    server.kill()
    assert [told["data"]["syncCount"] for told in moto.sent()[known[0]]] == ["2"]
    assert new not in moto.sent()
    moto.start()
    server.start()
    hears = lambda token: "3" in (told["data"]["syncCount"] for told in moto.sent().get(token, []))
    until(lambda: hears(known[0]) and hears(new))
    until(lambda: figure(server, "waiting") == 0)
    assert not hears(known[1])


def with_application(moto):
    """A client of a local SNS, which has the application."""
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    sns = boto3.client("sns", endpoint_url=moto.url, **keys)
    made = sns.create_platform_application(Name="game", Platform="APNS", Attributes={})
    assert made["PlatformApplicationArn"] == APNS
    return sns


def with_push(server, applications):
    """A user of a pool that has the applications."""
    developer = Developer(server)
    pool = developer.pool()
    push = {"ApplicationArns": applications}
    developer.sync.set_identity_pool_configuration(IdentityPoolId=pool, PushSync=push)
    return developer.guest(pool)


def until(found):
    """Waits until there is something; returns it."""
    while not (something := found()):
        time.sleep(0.01)
    return something


def metrics(server):
    return urllib.request.urlopen(server.url + "/metrics").read().decode()


def until_push_is_level(server):
    """Waits until the reader of the log has read everything."""
    until(lambda: '\nsyncline_reader_behind_commits{reader="push"} 0\n' in metrics(server))


def figure(server, what):
    """How many messages of Apple's application wait, or had an outcome."""
    name = f'syncline_push_messages_total{{application="{APNS}",outcome="{what}"}} '
    if what == "waiting":
        name = f'syncline_push_waiting{{application="{APNS}"}} '
    found = [line.removeprefix(name) for line in metrics(server).splitlines() if line.startswith(name)]
    return int(found[0]) if found else 0


def test_thousands_of_changes_reach_a_stream_in_the_end(make_server):
    server = make_server()
    developer = Developer(server)
    user = developer.guest(developer.pool())
    stream = Stream(server, user, "saves")
    assert stream.next()["datasetExists"] is False
    seen = []

    def follow():
        while not seen or seen[-1] < 300:
            seen.append(stream.next()["syncCount"])

    following = threading.Thread(target=follow)
    following.start()
    saves = user.dataset("saves")
    for count in range(300):
        saves.update([replace("level", str(count), count)])
    following.join()
    assert seen == sorted(set(seen)) and seen[-1] == 300
