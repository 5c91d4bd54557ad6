"""Services of the operator's that the server calls: each on a port of this machine."""

import http.server
import json
import threading


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
