"""Random operations, compared with the model in `reference.py`, answer by answer.

SYNCLINE_STEPS makes the walks longer, SYNCLINE_SEED repeats one; both are named when one fails.
"""

import http.client
import json
import os
import random
import time
from urllib.parse import urlencode

import pytest
from actors import PROVIDER, Developer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from reference import Reference, Refused, invalid
from signed import Answer, path

STEPS = int(os.environ.get("SYNCLINE_STEPS", "2500"))
SEED = os.environ.get("SYNCLINE_SEED")
# After a crash the server may come back with others; the lower refuse growth only.
LIMITS = [
    {"datasets_per_identity": 7, "records_per_dataset": 6, "dataset_bytes": 160},
    {"datasets_per_identity": 5, "records_per_dataset": 4, "dataset_bytes": 110},
]
NAMES = ["a", "a.b", "b:c", "d_-", "e"]
KEYS = ["k", "l\u00e4nge", "m" * 12, "n/o p", "q", "\U0001f600", "r", "s"]
VALUES = ["", "v", "\u00e4\U0001f600", "w" * 40, "x" * 90, "\"\\\n\u0000"]
ACCOUNT = "000000000000"
LOGINS_MAX = 20
# A token lives for 300 seconds; one that is nearly spent by time proves nothing.
TOKEN_SECONDS = 200
WRONG_TOKEN = "SyncSessionToken not valid for these inputs"


class Walk:
    """One server, its model, and whatever clients may have kept of earlier answers."""

    def __init__(self, server, developer, seed):
        self.server, self.developer = server, developer
        self.chance = random.Random(seed)
        self.pool = developer.pool()
        self.model = Reference(*LIMITS[0].values())
        self.users = {}
        # Session tokens: (identity, name) to (token, when); spent ones with the body and answer.
        self.open_tokens, self.spent_tokens, self.pages = {}, [], []
        self.connection = http.client.HTTPConnection(*server.address)
        self.seen = {}
        for _ in range(3):
            self.add_user()

    def add_user(self):
        name = f"user-{self.chance.getrandbits(64)}"
        user = self.developer.user(self.pool, name)
        user.name = name
        user.merged = 1
        self.users[user.identity] = user
        self.model.add(user.identity)

    # One request, compared.

    def call(self, key, method, target, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        request = AWSRequest(method=method, url=self.server.url + target, data=data)
        SigV4Auth(Credentials(*key), "cognito-sync", "us-east-1").add_auth(request)
        self.connection.request(method, target, body=data, headers=dict(request.headers.items()))
        return Answer(self.connection.getresponse())

    def compare(self, kind, expected, answer):
        """`expected` gives what the body must say, or raises; returns both bodies, or nothing."""
        try:
            wanted = expected()
        except Refused as refused:
            assert answer.status != 200, refused
            found = (*answer.error()[::-1], answer.json()["message"])
            message = refused.message or found[2]
            assert found == (refused.name, refused.status, message)
            self.count(f"{kind}: {refused.name}")
            return None
        assert answer.status == 200, answer.body
        self.count(kind)
        return wanted, answer.json()

    def count(self, kind):
        self.seen[kind] = self.seen.get(kind, 0) + 1

    # What a step may choose from.

    def place(self):
        identity = self.chance.choice(list(self.users))
        # Those from merges too, also when they are gone.
        names = NAMES + list(self.model.identities[identity])
        return identity, self.chance.choice(names)

    def target(self, identity, name=None, *rest, **query):
        parts = ["identities", identity, "datasets", *([name] if name else []), *rest]
        asked = {word: value for word, value in query.items() if value is not None}
        return path(self.pool, *parts) + (f"?{urlencode(asked)}" if asked else "")

    def key(self, identity):
        own = self.chance.random() < 0.8
        return self.users[identity].key if own else self.developer.key

    def tokens(self, place):
        now = time.monotonic()
        kept = [one for one in self.open_tokens.get(place, []) if now - one[1] < TOKEN_SECONDS]
        self.open_tokens[place] = kept[-4:]
        return self.open_tokens[place]

    def fresh(self, kept):
        return time.monotonic() - kept["when"] < TOKEN_SECONDS

    # Steps.

    def list(self):
        place = self.place()
        count = self.model.dataset(*place).count
        since = self.chance.choice([None, 0, self.chance.randint(0, count + 1), count])
        limit = self.chance.choice([None, None, 1, 2, 5])
        self.compare_list(place, since, limit)

    def compare_list(self, place, since=None, limit=None, page=None, token=None):
        query = {"lastSyncCount": since, "maxResults": limit, "syncSessionToken": token}
        query["nextToken"] = page["token"] if page else None
        answer = self.call(
            self.key(place[0]), "GET", self.target(*place, "records", **query)
        )
        following = page and page["page"]
        compared = self.compare(
            "list" if page is None else "next page",
            lambda: self.model.list(*place, since or 0, limit, following),
            answer,
        )
        if compared is None:
            return
        (wanted, more), found = compared
        token = found.pop("SyncSessionToken")
        self.open_tokens.setdefault(place, []).append((token, time.monotonic()))
        following = found.pop("NextToken", None)
        assert (following is not None) == (more is not None)
        assert found == wanted
        if more:
            kept = {"place": place, "token": following, "page": more, "limit": limit}
            self.pages = [*self.pages, kept][-12:]

    def next_page(self):
        if not self.pages:
            return
        page = self.chance.choice(self.pages)
        since = self.chance.choice([None, page["page"].since])
        # Later pages carry the first one's session, which may be spent by now and then is of no
        # use; another listing opens one for the update.
        before = list(self.open_tokens.get(page["place"], []))
        self.compare_list(page["place"], since, page["limit"], page)
        self.open_tokens[page["place"]] = before

    def list_with_session(self):
        place = self.place()
        tokens = self.tokens(place)
        if tokens:
            token = self.chance.choice(tokens)[0]
            self.compare_list(place, token=token)
            self.open_tokens[place] = [one for one in tokens if one[0] == token]

    def patches(self, place):
        dataset = self.model.dataset(*place)
        patches = []
        for _ in range(self.chance.randint(1, 4)):
            known = dataset.records.get(key := self.chance.choice(KEYS))
            count = known["SyncCount"] if known else self.chance.choice([0, dataset.count])
            if self.chance.random() < 0.1:
                count = self.chance.randint(0, dataset.count + 1)
            patch = {"Op": "remove", "Key": key, "SyncCount": count}
            if self.chance.random() < 0.65:
                patch |= {"Op": "replace", "Value": self.chance.choice(VALUES)}
            elif self.chance.random() < 0.5:
                patch["Value"] = ""
            if self.chance.random() < 0.5:
                moment = self.chance.randint(1_400_000_000_000, 1_700_000_000_000)
                patch["DeviceLastModifiedDate"] = moment / 1000
            patches.append(patch)
        if self.chance.random() < 0.95:
            patches = list({patch["Key"]: patch for patch in patches}.values())
        return patches

    def update(self):
        place = self.place()
        if not self.tokens(place):
            self.compare_list(place)
        token, when = self.chance.choice(self.tokens(place))
        body = {"SyncSessionToken": token, "RecordPatches": self.patches(place)}
        key = self.key(place[0])
        by = ACCOUNT if key is self.developer.key else place[0]
        if self.chance.random() < 0.2:
            body["DeviceId"] = f"device-{self.chance.randint(1, 3)}"
            by = ACCOUNT if by == ACCOUNT else body["DeviceId"]
        began = time.time()
        answer = self.call(key, "POST", self.target(*place), body)
        compared = self.compare(
            "update",
            lambda: self.model.update(*place, body["RecordPatches"], by),
            answer,
        )
        if compared is None:
            return
        records, found = compared
        stamp = found["Records"][0]["LastModifiedDate"]
        assert began - 0.001 <= stamp <= time.time()
        self.model.stamp(*place, records, stamp)
        assert found == {"Records": records}
        self.open_tokens[place] = [one for one in self.tokens(place) if one[0] != token]
        spent = {"place": place, "body": body, "answer": answer.json(), "when": when}
        self.spent_tokens = [*self.spent_tokens, spent][-30:]

    def empty_update(self):
        place = self.place()
        tokens = self.tokens(place)
        if tokens:
            body = {"SyncSessionToken": tokens[0][0]}
            answer = self.call(self.key(place[0]), "POST", self.target(*place), body)
            compared = self.compare("empty update", lambda: {"Records": []}, answer)
            assert compared[0] == compared[1]

    def spent(self):
        """The very same request gets the same answer; any other is refused."""
        kept = [one for one in self.spent_tokens if self.fresh(one)]
        kept = [one for one in kept if one["place"][0] in self.users]
        if not kept:
            return
        spent = self.chance.choice(kept)
        place, body = spent["place"], spent["body"]
        key = self.users[place[0]].key
        if self.chance.random() < 0.5:
            answer = self.call(key, "POST", self.target(*place), body)
            compared = self.compare("retry", lambda: spent["answer"], answer)
            assert compared[0] == compared[1]
            return
        if self.chance.random() < 0.5:
            token = body["SyncSessionToken"]
            answer = self.call(key, "GET", self.target(*place, "records", syncSessionToken=token))
        else:
            patches = body["RecordPatches"]
            other = {**body, "RecordPatches": [*patches, {**patches[0], "Key": "another"}]}
            answer = self.call(key, "POST", self.target(*place), other)
        self.compare("spent", _raise(invalid(WRONG_TOKEN)), answer)

    def foreign_token(self):
        one, other = self.place(), self.place()
        tokens = self.tokens(one)
        if tokens and one != other:
            patch = {"Op": "replace", "Key": "k", "Value": "", "SyncCount": 0}
            body = {"SyncSessionToken": tokens[0][0], "RecordPatches": [patch]}
            answer = self.call(self.key(other[0]), "POST", self.target(*other), body)
            self.compare("foreign token", _raise(invalid(WRONG_TOKEN)), answer)

    def foreign_credentials(self):
        place = self.place()
        others = [user for identity, user in self.users.items() if identity != place[0]]
        answer = self.call(self.chance.choice(others).key, "DELETE", self.target(*place))
        denied = Refused("AccessDeniedException", 403)
        self.compare("foreign credentials", _raise(denied), answer)

    def describe(self):
        place = self.place()
        answer = self.call(self.key(place[0]), "GET", self.target(*place))
        compared = self.compare("describe", lambda: self.model.describe(*place), answer)
        assert compared is None or {"Dataset": compared[0]} == compared[1]

    def delete(self):
        place = self.place()
        answer = self.call(self.key(place[0]), "DELETE", self.target(*place))
        compared = self.compare("delete", lambda: self.model.delete(*place), answer)
        assert compared is None or {"Dataset": compared[0]} == compared[1]

    def list_datasets(self):
        identity, _ = self.place()
        limit = self.chance.choice([None, 1, 2, 3])
        wanted = [
            dataset.described(identity, name)
            for name, dataset in self.model.existing(identity).items()
        ]
        found, following = [], None
        while True:
            target = self.target(identity, maxResults=limit, nextToken=following)
            page = self.compare("datasets", dict, self.call(self.key(identity), "GET", target))[1]
            assert page["Count"] == len(page["Datasets"]) <= (limit or 64)
            found += page["Datasets"]
            following = page.get("NextToken")
            if following is None:
                break
        assert found == wanted

    def usage(self):
        identity, _ = self.place()
        answer = self.call(self.key(identity), "GET", path(self.pool, "identities", identity))
        usage = self.compare("usage", dict, answer)[1]["IdentityUsage"]
        assert (usage["DatasetCount"], usage["DataStorage"]) == self.model.usage(identity)
        answer = self.call(self.developer.key, "GET", path(self.pool))
        usage = self.compare("pool usage", dict, answer)[1]["IdentityPoolUsage"]
        assert usage["DataStorage"] == sum(self.model.usage(one)[1] for one in self.users)

    def merge(self):
        """Two users are found to be one, and another one comes."""
        loser, winner = self.chance.sample(list(self.users), 2)
        merged = self.users[loser].merged + self.users[winner].merged
        if merged > LOGINS_MAX:
            return
        answer = self.developer.identity.merge_developer_identities(
            SourceUserIdentifier=self.users[loser].name,
            DestinationUserIdentifier=self.users[winner].name,
            DeveloperProviderName=PROVIDER,
            IdentityPoolId=self.pool,
        )
        assert answer["IdentityId"] == winner
        self.users[winner].merged = merged
        self.model.merge(loser, winner)
        ended = self.users.pop(loser)
        self.pages = [page for page in self.pages if page["place"][0] != loser]
        answer = self.call(ended.key, "GET", self.target(loser))
        message = f"Access to Identity '{loser}' is forbidden."
        self.compare("merge", _raise(Refused("NotAuthorizedException", 403, message)), answer)
        self.add_user()

    def crash(self):
        self.server.kill()
        limits = self.chance.choice(LIMITS)
        (self.server.directory / "syncline.toml").write_text(configuration(limits))
        self.model.limit(*limits.values())
        self.server.start()
        self.connection.close()
        self.connection = http.client.HTTPConnection(*self.server.address)
        self.developer.__init__(self.server)
        self.count("crash")

    CHANCES = {
        list: 24, next_page: 10, list_with_session: 4, update: 36, empty_update: 1, spent: 5,
        foreign_token: 2, foreign_credentials: 1, describe: 5, delete: 7, list_datasets: 4,
        usage: 3, merge: 0.6, crash: 0.5,
    }

    def step(self):
        (chosen,) = self.chance.choices(list(self.CHANCES), list(self.CHANCES.values()))
        chosen(self)


def configuration(limits):
    return "[limits]\n" + "".join(f"{name} = {most}\n" for name, most in limits.items())


def _raise(refused):
    def expected():
        raise refused

    return expected


@pytest.mark.parametrize("seed", [SEED] if SEED else ["the same", None])
def test_the_server_and_the_model_agree(make_server, seed):
    seed = seed or str(random.SystemRandom().getrandbits(32))
    server = make_server(configuration(LIMITS[0]))
    walk = Walk(server, Developer(server), seed)
    for number in range(STEPS):
        try:
            walk.step()
        except BaseException:
            print(f"step {number} of SYNCLINE_STEPS={STEPS} SYNCLINE_SEED='{seed}'")
            raise
    print(f"SYNCLINE_SEED='{seed}'", walk.seen)
    # A walk that never met them would agree with anything.
    assert STEPS < 2000 or set(walk.seen) >= {
        "list", "list: InvalidParameterException", "next page", "update",
        "update: ResourceConflictException", "update: LimitExceededException",
        "update: InvalidParameterException", "retry", "spent: InvalidParameterException",
        "describe: ResourceNotFoundException", "delete", "merge: NotAuthorizedException", "crash",
    }
