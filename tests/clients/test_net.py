"""The live test of the .NET SDK for data calls, and its library's paging, as signed HTTP."""

from urllib.parse import quote

from actors import replace
from signed import call, path


def test_data_calls(server, developer, pool):
    """Counts and figures along one dataset's life, in the order of the SDK's own test."""
    user = developer.user(pool)
    where = path(pool, "identities", user.identity, "datasets", "dataset")

    def get(target):
        answer = call(server, user.key, "GET", target)
        assert answer.status == 200, answer.body
        return answer.json()

    listed = get(f"{where}/records?maxResults=1000")
    assert (listed["DatasetExists"], listed["DatasetSyncCount"]) == (False, 0)
    assert (listed["Count"], listed["Records"]) == (0, [])
    assert listed["DatasetDeletedAfterRequestedSyncCount"] is False
    token = listed["SyncSessionToken"]
    assert token

    def update(patch, token):
        body = {"SyncSessionToken": token, "RecordPatches": [patch]}
        answer = call(server, user.key, "POST", where, body)
        assert answer.status == 200, answer.body
        return answer.json()["Records"]

    (written,) = update(replace("key", "value"), token)
    assert (written["Key"], written["Value"], written["SyncCount"]) == ("key", "value", 1)
    listed = get(f"{where}/records?maxResults=1000")
    assert (listed["DatasetExists"], listed["DatasetSyncCount"], listed["Count"]) == (True, 1, 1)
    # An equal value with the right count succeeds and comes back.
    (again,) = update(replace("key", "value", 1), listed["SyncSessionToken"])
    assert (again["Value"], again["SyncCount"]) == ("value", 2)
    assert get(f"{where}/records?lastSyncCount=1")["Count"] == 1
    assert get(f"{where}/records?lastSyncCount=2")["Count"] == 0

    described = get(where)["Dataset"]
    assert (described["NumRecords"], described["DataStorage"]) == (1, 8)
    datasets = get(path(pool, "identities", user.identity, "datasets") + "?maxResults=1000")
    assert (datasets["Count"], datasets["Datasets"]) == (1, [described])
    usage = get(path(pool, "identities", user.identity))["IdentityUsage"]
    assert (usage["DatasetCount"], usage["DataStorage"]) == (1, 8)

    answer = call(server, developer.key, "GET", "/identitypools?maxResults=1000")
    assert answer.status == 200, answer.body
    pools = answer.json()
    assert (pools["Count"], pools["MaxResults"]) == (1, 1000)
    answer = call(server, developer.key, "GET", path(pool))
    assert answer.json()["IdentityPoolUsage"] == pools["IdentityPoolUsages"][0]

    assert call(server, user.key, "DELETE", where).status == 200
    assert call(server, user.key, "GET", where).error() == (404, "ResourceNotFoundException")
    listed = get(f"{where}/records?lastSyncCount=2")
    assert listed["DatasetDeletedAfterRequestedSyncCount"] is True


def test_paging_as_the_libraries_do_it(server, guest):
    """JS, Android and .NET repeat lastSyncCount and maxResults beside nextToken, send no session
    token, and keep the session and the count of the last page."""
    notes = guest.dataset("notes")
    notes.update([replace("old", "v")])
    notes.update([replace(f"k{number:02}", "v") for number in range(10)])
    where = path(guest.pool, "identities", guest.identity, "datasets", "notes")
    keys, query = [], "lastSyncCount=1&maxResults=3"
    while True:
        answer = call(server, guest.key, "GET", f"{where}/records?{query}")
        assert answer.status == 200, answer.body
        page = answer.json()
        keys += [record["Key"] for record in page["Records"]]
        if page.get("NextToken") is None:
            break
        query = f"lastSyncCount=1&maxResults=3&nextToken={quote(page['NextToken'], safe='')}"
    assert keys == [f"k{number:02}" for number in range(10)]
    (written,) = notes.update([replace("k00", "w", 2)], page["SyncSessionToken"])
    assert written["SyncCount"] == page["DatasetSyncCount"] + 1


def test_the_prefix_that_the_library_matches(server, guest):
    notes = guest.dataset("notes")
    notes.update([replace("a", "1")])
    body = {"SyncSessionToken": notes.token(), "RecordPatches": [replace("a", "2")]}
    where = path(guest.pool, "identities", guest.identity, "datasets", "notes")
    answer = call(server, guest.key, "POST", where, body)
    assert answer.error() == (409, "ResourceConflictException")
    assert answer.json()["message"].startswith("Current SyncCount for:")
