"""Services of the operator's that the server calls: each on a port of this machine."""

import http.server
import json
import threading

from actors import Developer
from moto.backends import get_backend
from moto.server import ThreadedMotoServer

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:check"
SECRET = "whsec-of-the-tests"


def with_function(make_server, service, more=""):
    """A developer, and a user of a pool that has the function."""
    section = f'[functions."{FUNCTION}"]\nurl = "{service.url}"\nsecret = "{SECRET}"\n{more}'
    developer = Developer(make_server(section))
    pool = developer.pool()
    events = {"SyncTrigger": FUNCTION}
    developer.sync.set_cognito_events(IdentityPoolId=pool, Events=events)
    return developer, developer.guest(pool)


class Sns:
    """A local SNS. Stopped, it is away, and keeps what it has."""

    def __init__(self):
        # That is in this process, of earlier tests too.
        get_backend("sns").reset()
        self.port = 0
        self.start()

    def start(self):
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self.server.start()
        host, self.port = self.server.get_host_and_port()
        self.url = f"http://{host}:{self.port}"

    def stop(self):
        self.server.stop()

    def section(self, application):
        """The configuration of who pushes by it."""
        return (
            f'[push."{application}"]\ntype = "sns"\nendpoint_url = "{self.url}"\n'
            f'region = "us-east-1"\naccess_key_id = "a"\nsecret_access_key = "s"\n'
        )

    @property
    def backend(self):
        return get_backend("sns")["123456789012"]["us-east-1"]

    def sent(self):
        """What each token's endpoint was sent, as the device gets it."""
        endpoints = list(self.backend.platform_endpoints.values())
        return {
            endpoint.token: [
                json.loads(json.loads(message)["APNS"]) for message in list(endpoint.messages.values())
            ]
            for endpoint in endpoints
        }


class Service:
    """Keeps what it is sent, and answers as a test tells it to: `answer` takes the JSON that came and
    returns a status and what to send back as JSON."""

    def __init__(self, answer=lambda sent: (200, sent)):
        self.answer = answer
        self.seen = []
        self.came = threading.Condition()
        service = self

        class Receiver(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, answer = service.answer(json.loads(body))
                with service.came:
                    service.seen.append((headers, body))
                    service.came.notify_all()
                said = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/called"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def has_seen(self, count):
        """Waits until so many requests have come; returns all."""
        with self.came:
            # The limit only keeps a failing test from waiting for ever.
            assert self.came.wait_for(lambda: len(self.seen) >= count, timeout=300)
            return list(self.seen)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
