"""Requests byte by byte: signed by botocore, sent by a plain HTTP client, answered raw."""

import http.client
import json
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Answer:
    """A raw answer: header names keep their spelling."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.getheaders()
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def header(self, exactly):
        """The value of the header that is spelled exactly so."""
        return dict(self.headers)[exactly]

    def error(self):
        """Status and name, as old mobile clients read them."""
        return self.status, self.header("x-amzn-ErrorType").rstrip(":")


def path(pool, *rest, raw_colon=False):
    """`/identitypools/<pool>/...`, each segment encoded as botocore does it."""
    safe = ":~" if raw_colon else "~"
    return "/" + "/".join(quote(part, safe=safe) for part in ("identitypools", pool, *rest))


def call(server, key, method, target, body=b"", headers=None, service="cognito-sync"):
    """Signs and sends one request. Without a key it is sent unsigned."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    request = AWSRequest(method=method, url=server.url + target, data=body, headers=headers or {})
    if key is not None:
        signer = SigV4Auth(Credentials(*key), service, "us-east-1")
        signer.add_auth(request)
    return send(server, method, target, body, dict(request.headers.items()))


def send(server, method, target, body=b"", headers=None):
    """Sends one request as it is."""
    connection = http.client.HTTPConnection(*server.address)
    try:
        connection.request(method, target, body=body, headers=headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def identity_call(server, key, operation, body):
    """One operation of the identity API; some are called without a key."""
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"AWSCognitoIdentityService.{operation}",
    }
    return call(server, key, "POST", "/", body, headers, "cognito-identity")
