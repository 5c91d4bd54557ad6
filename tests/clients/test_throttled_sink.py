"""A sink that takes a part of a batch and no more: the next try goes on behind that part, also when
it ends in the middle of a commit."""

import base64
import json

from actors import Developer, replace
from services import Service
from sinks import STREAM, until

EVENTS = 30
# As many as an identity may have.
DATASETS = 20
# Records that are taken in a row, and requests that are refused then: as many as make a put fail.
AT_ONCE, REFUSALS = 10, 5
REFUSED = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow"}


class Throttled(Service):
    """PutRecords of a shard that has too little room, and perhaps none for one dataset at all."""

    def __init__(self, never=None):
        self.is_open, self.never = False, never
        self.taken, self.left, self.refusals = [], AT_ONCE, 0
        super().__init__(self.put)

    def put(self, sent):
        events = [json.loads(base64.b64decode(record["Data"])) for record in sent["Records"]]
        names = [event["datasetName"] for event in events]
        if not self.is_open or self.never in names:
            return 200, {"Records": [REFUSED for _ in events]}
        if not self.left:
            self.refusals += 1
            if self.refusals % REFUSALS == 0:
                self.left = AT_ONCE
            return 200, {"Records": [REFUSED for _ in events]}
        answers = []
        for event in events:
            self.left -= 1
            self.taken.append((event["datasetName"], event["syncCount"]))
            answers.append({"SequenceNumber": str(len(self.taken)), "ShardId": "0"})
        return 200, {"Records": answers}

    def section(self):
        return (
            f'[streams.{STREAM}]\ntype = "kinesis"\nregion = "us-east-1"\nstream_name = "{STREAM}"\n'
            f'endpoint_url = "{self.url.rsplit("/", 1)[0]}"\n'
            'access_key_id = "AKIDSINK"\nsecret_access_key = "secret"\n'
        )


def enable(developer, pool):
    streams = {"StreamName": STREAM, "StreamingStatus": "ENABLED"}
    developer.sync.set_identity_pool_configuration(IdentityPoolId=pool, CognitoStreams=streams)


def publish_one_commit(server):
    """A bulk publish writes all datasets of a guest in one commit."""
    developer = Developer(server)
    pool = developer.pool()
    guest = developer.guest(pool)
    names = [f"d{number:02}" for number in range(DATASETS)]
    for name in names:
        guest.dataset(name).update([replace("k", "v")])
    enable(developer, pool)
    developer.sync.bulk_publish(IdentityPoolId=pool)
    return names, lambda: developer.sync.get_bulk_publish_details(IdentityPoolId=pool)


def test_what_was_taken_of_a_batch_does_not_come_again(make_server):
    service = Throttled()
    try:
        server = make_server(service.section())
        developer = Developer(server)
        pool = developer.pool()
        enable(developer, pool)
        dataset = developer.guest(pool).dataset("d")
        for count in range(EVENTS):
            dataset.update([replace("k", "v", count)])
        # All of them are of one identity, so each is a request of its own.
        service.is_open = True
        until(lambda: len(set(service.taken)) == EVENTS, "everything is taken")
        assert service.taken == [("d", count) for count in range(1, EVENTS + 1)]
    finally:
        service.stop()


def test_what_was_taken_of_a_commit_does_not_come_again(make_server):
    service = Throttled()
    service.is_open = True
    try:
        server = make_server(service.section())
        names, details = publish_one_commit(server)
        until(lambda: len(service.taken) >= DATASETS, "so many are taken")
        assert service.taken == [(name, 1) for name in names]
        until(lambda: details()["BulkPublishStatus"] == "SUCCEEDED", "the bulk publish ends")
        assert len(service.taken) == DATASETS
    finally:
        service.stop()


def test_a_sink_that_takes_the_same_part_and_no_more_is_given_up(make_server):
    service = Throttled(never="d05")
    service.is_open = True
    try:
        server = make_server("[streaming]\ngive_up_seconds = 2\n" + service.section())
        names, details = publish_one_commit(server)

        def is_given_up():
            return details()["BulkPublishStatus"] == "FAILED"

        until(lambda: is_given_up() or len(service.taken) > 5, "it is given up")
        assert service.taken == [(name, 1) for name in names[:5]]
        assert "took nothing for 2 seconds" in details()["FailureMessage"]
    finally:
        service.stop()


def test_what_was_set_aside_is_not_set_aside_again(make_server):
    """A webhook refuses one event for good, and another one of the same commit three times."""
    asked = []

    def answer(sent):
        names = [event["datasetName"] for event in sent["events"]]
        if "d02" in names:
            return 400, {}
        if "d05" in names:
            asked.append(names)
            if len(asked) <= 3:
                return 503, {}
        taken.extend(names)
        return 200, {}

    taken, service = [], Service(answer)
    try:
        section = f'[streams.{STREAM}]\ntype = "http"\nurl = "{service.url}"\nsecret = "{"s" * 32}"\n'
        server = make_server(section)
        names, details = publish_one_commit(server)
        until(lambda: details()["BulkPublishStatus"] == "SUCCEEDED", "the bulk publish ends")
        assert taken == [name for name in names if name != "d02"]
        aside = (server.data / "set-aside" / f"{STREAM}.ndjson").read_text().splitlines()
        assert len(aside) == 1
    finally:
        service.stop()
