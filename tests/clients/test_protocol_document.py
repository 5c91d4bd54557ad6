"""docs/PROTOCOL.md says what is implemented and who may call it; here it is asked of the server."""

import re

import model
import pytest
from server_process import WORKSPACE
from signed import call, identity_call, path

ROW = re.compile(r"^\| (\w+) \| ((?:implemented|not yet)[^|]*) \| ([DI -]+) \|", re.M)
ROWS = {
    name: (state.startswith("implemented"), set(who.replace("-", "").split()))
    for name, state, who in ROW.findall((WORKSPACE / "docs" / "PROTOCOL.md").read_text())
}
LABELS = {"DatasetName": "notes", "DeviceId": "device"}


def test_every_operation_has_its_row():
    operations = [set(loaded["operations"]) for loaded in model.LOADED.values()]
    assert set(ROWS) == operations[0] | operations[1]


def ask_sync(server, actor, guest, operation):
    http = model.LOADED["cognito-sync"]["operations"][operation]["http"]
    labels = LABELS | {"IdentityPoolId": guest.pool, "IdentityId": guest.identity}
    parts = [
        labels[part.strip("{}")] if part.startswith("{") else part
        for part in http["requestUri"].split("/")[2:]
    ]
    target = path(*parts) if parts else "/identitypools"
    body = b"{}" if http["method"] == "POST" else b""
    return call(server, actor.key, http["method"], target, body)


def name_of(answer):
    return None if answer.status == 200 else answer.error()[1]


@pytest.mark.parametrize("operation", model.LOADED["cognito-sync"]["operations"])
def test_of_cognito_sync(server, developer, guest, operation):
    implemented, who = ROWS[operation]
    refusals = {"D": "NotAuthorizedException", "I": "AccessDeniedException"}
    for role, actor in (("D", developer), ("I", guest)):
        answer = ask_sync(server, actor, guest, operation)
        if role not in who:
            assert answer.error() == (403, refusals[role])
        else:
            assert answer.status != 403, answer.body
            assert (name_of(answer) == "NotImplementedException") != implemented
            assert (answer.status == 501) != implemented


@pytest.mark.parametrize("operation", model.LOADED["cognito-identity"]["operations"])
def test_of_cognito_identity(server, developer, guest, operation):
    implemented, who = ROWS[operation]
    loaded = model.LOADED["cognito-identity"]["operations"][operation]
    assert (loaded.get("authtype") == "none") == (not who), "unsigned operations are for anyone"
    answer = identity_call(server, developer.key if who else None, operation, {})
    assert (name_of(answer) == "NotImplementedException") != implemented, answer.body
    if who:
        refused = identity_call(server, guest.key, operation, {})
        assert refused.error() == (400, "AccessDeniedException")
