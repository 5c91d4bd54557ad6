"""A function that is asked before records are stored, as users and their boto3 see it."""

import itertools
import threading

import pytest
from actors import Dataset, client, refused, remove, replace
from services import FUNCTION, with_function

UNUSABLE = ("InvalidLambdaFunctionOutputException", 400)
ELSEWHERE = FUNCTION + "-elsewhere"
# Nobody listens on the first port.
NOBODY = f'[functions."{ELSEWHERE}"]\nurl = "http://127.0.0.1:1/"\n'


def test_a_function_changes_adds_and_removes_what_boto3_stores(make_server, service):
    _, user = with_function(make_server, service)
    saves = user.dataset("saves")
    saves.update([replace("level", "1"), replace("gone", "1"), replace("kept", "1")])

    def answer(event):
        records = event["datasetRecords"]
        # One that the client wrote, one that it did not touch, a new one, and one left out.
        records["level"]["newValue"] = str(min(int(records["level"]["newValue"]), 10))
        records["gone"] = {"op": "remove"}
        records["checked"] = {"newValue": "yes", "op": "replace"}
        del records["kept"]
        return 200, event

    service.answer = answer
    told = saves.update([replace("level", "99", 1), replace("kept", "2", 1)])
    told = [(record["Key"], record.get("Value"), record["SyncCount"]) for record in told]
    assert told == [("level", "10", 2), ("kept", "1", 1), ("checked", "yes", 2), ("gone", None, 2)]
    assert saves.values() == {"level": "10", "gone": None, "kept": "1", "checked": "yes"}


def wrong_answers():
    """What a function may answer so that nothing can be stored."""
    return {
        "veto": lambda event: (403, {}),
        "failed": lambda event: (500, event),
        "redirected": lambda event: (302, event),
        "no object": lambda event: (200, [event]),
        "nothing": lambda event: (200, {}),
        "of another": lambda event: (200, event | {"identityId": "us-east-1:other"}),
        "no records": lambda event: (200, event | {"datasetRecords": None}),
        "no text": lambda event: (200, event | {"datasetRecords": {"level": {"op": "replace", "newValue": 7}}}),
        "no operation": lambda event: (200, event | {"datasetRecords": {"level": {"newValue": "7"}}}),
        "too long": lambda event: (
            200,
            event | {"datasetRecords": {"level": {"op": "replace", "newValue": "7" * (1 << 20)}}},
        ),
    }


def test_what_fails_has_its_exception_and_stores_nothing(make_server, service):
    developer, user = with_function(make_server, service, NOBODY)
    saves = user.dataset("saves")
    saves.update([replace("level", "1")])
    token = saves.token()
    never = threading.Event()
    slow = lambda event: (never.wait(300), (200, event))[1]
    cases = [(name, answer, *UNUSABLE) for name, answer in wrong_answers().items()]
    cases.append(("throttled", lambda event: (429, {}), "LambdaThrottledException", 429))
    cases.append(("slow", slow, "LambdaSocketTimeoutException", 400))
    before = saves.describe()
    for name, answer, exception, status in cases:
        service.answer = answer
        for patch in (replace("level", "2", 1), remove("level", 1), replace("other", "2")):
            with refused(exception, status):
                saves.update([patch], token)
            if name == "slow":
                break
        assert saves.values() == {"level": "1"}, name
        assert saves.describe() == before, name
    never.set()
    events = {"SyncTrigger": ELSEWHERE}
    developer.sync.set_cognito_events(IdentityPoolId=user.pool, Events=events)
    with refused(*UNUSABLE, "The function of the SyncTrigger cannot be reached."):
        saves.update([replace("level", "2", 1)], token)
    assert saves.describe() == before
    # The session was spent by none of them.
    events = {"SyncTrigger": FUNCTION}
    developer.sync.set_cognito_events(IdentityPoolId=user.pool, Events=events)
    service.answer = lambda event: (200, event)
    saves.update([replace("level", "2", 1)], token)
    assert saves.values() == {"level": "2"}


@pytest.mark.parametrize("devices", [8])
def test_updates_that_a_slow_function_sees_at_once_stay_correct(make_server, service, devices):
    developer, user = with_function(make_server, service)
    user.dataset("saves").update([replace("score", "0")])
    together, calls = threading.Barrier(devices), itertools.count()

    def answer(event):
        records = event["datasetRecords"]
        seen = records.get("seen", {}).get("newValue") or "0"
        records["seen"] = {"op": "replace", "newValue": str(int(seen) + 1)}
        # The first of each device are with the function at the same time.
        if next(calls) < devices:
            together.wait(300)
        return 200, event

    service.answer = answer
    refusals, failures = [], []

    def play(number):
        sync = client("cognito-sync", developer.server.url, user.key)
        saves = Dataset(sync, user.pool, user.identity, "saves")
        while True:
            listed = saves.list()
            records = {record["Key"]: record for record in listed["Records"]}
            score = records["score"]
            patches = [
                replace("score", str(int(score["Value"]) + 1), score["SyncCount"]),
                replace(f"device-{number}", "was here"),
            ]
            try:
                saves.update(patches, listed["SyncSessionToken"])
                return
            except sync.exceptions.ResourceConflictException:
                refusals.append(number)

    def playing(number):
        try:
            play(number)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=playing, args=(number,)) for number in range(devices)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    # One of those that were there at once was stored; nothing of the others was.
    assert len(refusals) >= devices - 1
    values = user.dataset("saves").values()
    here = {f"device-{number}": "was here" for number in range(devices)}
    # The function counted what was stored behind the first update, and nothing else.
    assert values == {"score": str(devices), "seen": str(devices), **here}
