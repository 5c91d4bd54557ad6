"""What is set for a pool, devices, and updates that come again."""

import time

import pytest
from actors import refused, remove, replace

ROLE = "arn:aws:iam::123456789012:role/sync"
GCM = "arn:aws:sns:us-east-1:123456789012:app/GCM/game"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:check"


@pytest.fixture
def notes(guest):
    return guest.dataset("notes")


def names(answer):
    return set(answer) - {"ResponseMetadata"}


def test_configuration_as_the_dotnet_sdk_sets_and_clears_it(developer, pool):
    sync, of = developer.sync, {"IdentityPoolId": pool}
    assert names(sync.get_identity_pool_configuration(**of)) == {"IdentityPoolId"}
    push = {"ApplicationArns": [GCM]}
    assert sync.set_identity_pool_configuration(**of, PushSync=push)["PushSync"] == push
    streams = {"StreamName": "changes", "RoleArn": ROLE, "StreamingStatus": "ENABLED"}
    sync.set_identity_pool_configuration(**of, CognitoStreams=streams)
    answer = sync.get_identity_pool_configuration(**of)
    assert (answer["PushSync"], answer["CognitoStreams"]) == (push, streams)
    sync.set_identity_pool_configuration(**of, PushSync={})
    answer = sync.get_identity_pool_configuration(**of)
    assert names(answer) == {"IdentityPoolId", "CognitoStreams"}


def test_events_as_the_dotnet_sdk_sets_and_removes_them(developer, pool):
    sync, of = developer.sync, {"IdentityPoolId": pool}
    assert sync.get_cognito_events(**of)["Events"] == {}
    assert names(sync.set_cognito_events(**of, Events={"SyncTrigger": FUNCTION})) == set()
    assert sync.get_cognito_events(**of)["Events"] == {"SyncTrigger": FUNCTION}
    sync.set_cognito_events(**of, Events={"SyncTrigger": ""})
    assert sync.get_cognito_events(**of)["Events"] == {}
    with refused("InvalidParameterException", 400):
        sync.set_cognito_events(**of, Events={"SyncTrigger": "no function"})


def test_a_bulk_publish_ends_and_is_not_repeated_the_same_day(developer, pool):
    sync, of = developer.sync, {"IdentityPoolId": pool}
    assert sync.get_bulk_publish_details(**of)["BulkPublishStatus"] == "NOT_STARTED"
    with refused("InvalidParameterException", 400):
        sync.bulk_publish(**of)
    streams = {"StreamName": "built-in", "StreamingStatus": "ENABLED"}
    sync.set_identity_pool_configuration(**of, CognitoStreams=streams)
    assert sync.bulk_publish(**of)["IdentityPoolId"] == pool
    for _ in range(600):
        details = sync.get_bulk_publish_details(**of)
        if details["BulkPublishStatus"] != "IN_PROGRESS":
            break
        time.sleep(0.1)
    assert details["BulkPublishStatus"] == "SUCCEEDED"
    assert details["BulkPublishStartTime"] <= details["BulkPublishCompleteTime"]
    with refused("AlreadyStreamedException", 400):
        sync.bulk_publish(**of)


def test_a_device_follows_a_dataset(developer, pool, guest, notes):
    device = {"Platform": "GCM", "Token": "t"}
    with refused("InvalidConfigurationException", 400):
        guest.sync.register_device(**guest.names, **device)
    push = {"ApplicationArns": [GCM]}
    developer.sync.set_identity_pool_configuration(IdentityPoolId=pool, PushSync=push)
    made = guest.sync.register_device(**guest.names, **device)["DeviceId"]
    assert guest.sync.register_device(**guest.names, **device)["DeviceId"] == made
    of = notes.names | {"DeviceId": made}
    with refused("ResourceNotFoundException", 404):
        guest.sync.subscribe_to_dataset(**of)
    notes.update([replace("a", "1")])
    guest.sync.subscribe_to_dataset(**of)
    guest.sync.unsubscribe_from_dataset(**of)
    with refused("ResourceNotFoundException", 404):
        guest.sync.unsubscribe_from_dataset(**of)
    with refused("NotAuthorizedException", 403):
        developer.sync.register_device(**guest.names, **device)


def test_settings_outlive_a_crash(server, developer, pool):
    push = {"ApplicationArns": [GCM], "RoleArn": ROLE}
    developer.sync.set_identity_pool_configuration(IdentityPoolId=pool, PushSync=push)
    developer.sync.set_cognito_events(IdentityPoolId=pool, Events={"SyncTrigger": FUNCTION})
    server.restart()
    sync = type(developer)(server).sync
    assert sync.get_identity_pool_configuration(IdentityPoolId=pool)["PushSync"] == push
    assert sync.get_cognito_events(IdentityPoolId=pool)["Events"] == {"SyncTrigger": FUNCTION}


def test_an_update_whose_answer_was_lost_may_come_again(server, guest, notes):
    token = notes.token()
    patches = [replace("z", "1"), remove("m", 0), replace("a", "2")]
    first = notes.update(patches, token)
    notes.update([replace("z", "3", 1)])
    assert notes.update(patches, token) == first
    server.restart()
    guest.reconnect(server)
    notes = guest.dataset("notes")
    assert notes.update(patches, token) == first
    assert notes.list()["DatasetSyncCount"] == 2
    with refused("InvalidParameterException", 400):
        notes.update([replace("z", "4", 2)], token)
