"""A sink that takes a part of a batch and no more: the next try goes on behind that part."""

import base64
import json

from actors import Developer, replace
from services import Service
from sinks import STREAM, until

EVENTS = 30
# Records that are taken in a row, and requests that are refused then: as many as make a put fail.
AT_ONCE, REFUSALS = 10, 5


class Throttled(Service):
    """PutRecords of a shard that has too little room."""

    def __init__(self):
        self.is_open = False
        self.taken, self.left, self.refusals = [], AT_ONCE, 0
        super().__init__(self.put)

    def put(self, sent):
        refused = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow"}
        if not self.is_open:
            return 200, {"Records": [refused for _ in sent["Records"]]}
        if not self.left:
            self.refusals += 1
            if self.refusals % REFUSALS == 0:
                self.left = AT_ONCE
            return 200, {"Records": [refused for _ in sent["Records"]]}
        answers = []
        for record in sent["Records"]:
            self.left -= 1
            self.taken.append(json.loads(base64.b64decode(record["Data"]))["syncCount"])
            answers.append({"SequenceNumber": str(len(self.taken)), "ShardId": "0"})
        return 200, {"Records": answers}


def test_what_was_taken_of_a_batch_does_not_come_again(make_server):
    service = Throttled()
    try:
        server = make_server(
            f'[streams.{STREAM}]\ntype = "kinesis"\nregion = "us-east-1"\nstream_name = "{STREAM}"\n'
            f'endpoint_url = "{service.url.rsplit("/", 1)[0]}"\n'
            'access_key_id = "AKIDSINK"\nsecret_access_key = "secret"\n'
        )
        developer = Developer(server)
        pool = developer.pool()
        streams = {"StreamName": STREAM, "StreamingStatus": "ENABLED"}
        developer.sync.set_identity_pool_configuration(IdentityPoolId=pool, CognitoStreams=streams)
        dataset = developer.guest(pool).dataset("d")
        for count in range(EVENTS):
            dataset.update([replace("k", "v", count)])
        # All of them are of one identity, so each is a request of its own.
        service.is_open = True
        until(lambda: len(set(service.taken)) == EVENTS, "everything is taken")
        assert service.taken == list(range(1, EVENTS + 1))
    finally:
        service.stop()
