"""The whole story of one user with boto3, up to a crash and back."""

from actors import Developer, refused, remove, replace


def everything(dataset):
    """All that a client can see of a dataset, but for the session."""
    listed = dataset.list()
    for volatile in ("SyncSessionToken", "ResponseMetadata"):
        del listed[volatile]
    return listed


def story(server, developer, user):
    saves = user.dataset("saves")
    first = saves.list()
    assert first["DatasetExists"] is False
    assert (first["DatasetSyncCount"], first["Count"], first["Records"]) == (0, 0, [])

    patches = [replace(f"level-{n:02}", f"score {n}") for n in range(20)]
    written = saves.update(patches, first["SyncSessionToken"])
    assert [record["SyncCount"] for record in written] == [1] * 20
    assert {record["LastModifiedBy"] for record in written} == {user.identity}

    stale = "Current SyncCount for: level-07 is: 1 not: 0"
    with refused("ResourceConflictException", 409, stale):
        saves.update([replace("level-03", "3", 1), replace("level-07", "7", 0)])
    assert saves.values()["level-03"] == "score 3", "a refused list changes nothing"

    saves.update([replace("level-05", "better", 1), replace("new", "yes")])
    changed = saves.list(since=1)
    assert [record["Key"] for record in changed["Records"]] == ["level-05", "new"]
    assert changed["DatasetSyncCount"] == 2

    (tombstone,) = saves.update([remove("level-00", 1)])
    assert (tombstone["SyncCount"], "Value" in tombstone) == (3, False)
    assert saves.values()["level-00"] is None
    assert saves.describe()["NumRecords"] == 20

    settings = user.dataset("settings")
    settings.update([replace("volume", "11")])
    gone = settings.delete()
    assert gone["NumRecords"] == 1
    with refused("ResourceNotFoundException", 404):
        settings.describe()
    after = settings.list(since=1)
    assert after["DatasetExists"] is False
    assert after["DatasetDeletedAfterRequestedSyncCount"] is True

    before = [everything(dataset) for dataset in (saves, settings)]
    server.restart()
    developer = Developer(server)
    user.reconnect(server)
    saves, settings = user.dataset("saves"), user.dataset("settings")
    assert [everything(dataset) for dataset in (saves, settings)] == before
    assert len(saves.values()) == 21
    with refused("ResourceConflictException", 409):
        saves.update([replace("level-05", "stale", 1)])
    assert saves.update([replace("level-05", "best", 2)])[0]["SyncCount"] == 4
    assert settings.update([replace("volume", "5", 2)])[0]["SyncCount"] == 3
    names = [pool["IdentityPoolId"] for pool in developer.pools()]
    assert user.pool in names


def test_a_guest(server, developer, pool):
    story(server, developer, developer.guest(pool))


def test_a_user_of_the_developer(server, developer, pool):
    story(server, developer, developer.user(pool))


def test_a_user_has_one_identity_wherever_he_signs_in(server, developer, pool):
    phone = developer.user(pool, "ann")
    tablet = developer.user(pool, "ann")
    assert phone.identity == tablet.identity
    assert phone.key != tablet.key
    phone.dataset("notes").update([replace("a", "1")])
    assert tablet.dataset("notes").values() == {"a": "1"}
    server.restart()
    later = Developer(server).user(pool, "ann")
    assert later.identity == phone.identity
    assert later.dataset("notes").values() == {"a": "1"}


def test_it_stops_when_asked_and_loses_nothing(server, developer, pool):
    user = developer.guest(pool)
    user.dataset("notes").update([replace("a", "1")])
    assert server.stop() == 0
    server.start()
    user.reconnect(server)
    assert user.dataset("notes").values() == {"a": "1"}
