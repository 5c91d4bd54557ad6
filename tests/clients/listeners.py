"""Measures streams of events: the memory of each listener, and how soon changes reach them.

A program, not a test: `python listeners.py --listeners 5000 --rate 200 --seconds 30`, with the environment
of the clients that `tests/run clients` makes. SYNCLINE_BINARY names the program to measure. Both ends run
on this machine and share its processors.
"""

import argparse
import asyncio
import datetime
import hashlib
import hmac
import json
import random
import resource
import tempfile
import time
from urllib.parse import quote

from actors import Developer
from server_process import ServerProcess

CONFIG = """
[limits]
guest_identities_per_second = 0
connections = 60000
listeners = 50000
"""


class Identity:
    """Signs for one guest, and knows the count of its dataset."""

    def __init__(self, pool, name, key, host):
        self.pool, self.name, self.host = pool, name, host
        self.id, secret, self.token = key
        self.count = 0
        day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d")
        self.scope = f"{day}/us-east-1/cognito-sync/aws4_request"
        self.secret = ("AWS4" + secret).encode()
        for part in self.scope.split("/"):
            self.secret = hmac.digest(self.secret, part.encode(), "sha256")

    def signature(self, stamp, canonical):
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{self.scope}\n{hashed}"
        return hmac.digest(self.secret, text.encode(), "sha256").hex()

    def request(self, method, path, body=b""):
        stamp = now()
        names = "host;x-amz-date;x-amz-security-token"
        headers = f"host:{self.host}\nx-amz-date:{stamp}\nx-amz-security-token:{self.token}\n"
        hashed = hashlib.sha256(body).hexdigest()
        canonical = f"{method}\n{quote(path)}\n\n{headers}\n{names}\n{hashed}"
        authorization = (
            f"AWS4-HMAC-SHA256 Credential={self.id}/{self.scope}, SignedHeaders={names}, "
            f"Signature={self.signature(stamp, canonical)}"
        )
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: {self.host}\r\nx-amz-date: {stamp}\r\n"
            f"x-amz-security-token: {self.token}\r\nauthorization: {authorization}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def stream(self):
        """A request for a stream that is signed in its query."""
        stamp = now()
        path = f"/syncline/v1/pools/{self.pool}/identities/{self.name}/events"
        pairs = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.id}/{self.scope}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": "300",
            "X-Amz-Security-Token": self.token,
            "X-Amz-SignedHeaders": "host",
            "datasets": "saves",
        }
        query = "&".join(f"{name}={quote(pairs[name], safe='')}" for name in sorted(pairs))
        empty = hashlib.sha256(b"").hexdigest()
        canonical = f"GET\n{quote(path)}\n{query}\nhost:{self.host}\n\nhost\n{empty}"
        signature = self.signature(stamp, canonical)
        target = f"{path}?{query}&X-Amz-Signature={signature}"
        return f"GET {target} HTTP/1.1\r\nhost: {self.host}\r\n\r\n".encode()


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")


async def answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return json.loads(await reader.readexactly(length))


async def guests(address, pool, host, count):
    """So many new guests, with credentials."""

    async def make(number):
        reader, writer = await asyncio.open_connection(*address)
        made = []
        for _ in range(number):
            answers = {"IdentityPoolId": pool}
            for operation in ("GetId", "GetCredentialsForIdentity"):
                body = json.dumps(answers).encode()
                target = f"x-amz-target: AWSCognitoIdentityService.{operation}"
                head = f"POST / HTTP/1.1\r\nhost: {host}\r\n{target}\r\ncontent-length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                answers = await answer(reader)
            keys = answers["Credentials"]
            key = (keys["AccessKeyId"], keys["SecretKey"], keys["SessionToken"])
            made.append(Identity(pool, answers["IdentityId"], key, host))
        writer.close()
        return made

    workers = 16
    shares = [count // workers + (place < count % workers) for place in range(workers)]
    return [one for made in await asyncio.gather(*map(make, shares)) for one in made]


class Listener(asyncio.Protocol):
    """One stream: notes when each count came."""

    def __init__(self, identity, ready, arrived):
        self.identity, self.ready, self.arrived = identity, ready, arrived

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.identity.stream())

    def data_received(self, data):
        at = time.perf_counter()
        if self.ready and not self.ready.done():
            if b'"syncCount":' in data:
                self.ready.set_result(None)
            return
        for part in data.split(b'"syncCount":')[1:]:
            self.arrived(self.identity, int(part.split(b"}")[0]), at)


async def listen(address, identities, arrived):
    loop = asyncio.get_running_loop()
    free = asyncio.Semaphore(64)

    async def one(identity):
        async with free:
            ready = loop.create_future()
            await loop.create_connection(lambda: Listener(identity, ready, arrived), *address)
            await ready

    await asyncio.gather(*map(one, identities))


async def update(connection, identity):
    """Writes one record; returns when the request left and when the answer was there."""
    reader, writer = connection
    path = f"/identitypools/{identity.pool}/identities/{identity.name}/datasets/saves"
    writer.write(identity.request("GET", path + "/records"))
    token = (await answer(reader))["SyncSessionToken"]
    patch = {"Op": "replace", "Key": "k", "Value": "v", "SyncCount": identity.count}
    body = json.dumps({"SyncSessionToken": token, "RecordPatches": [patch]}).encode()
    request = identity.request("POST", path, body)
    identity.count += 1
    began = time.perf_counter()
    writer.write(request)
    await answer(reader)
    return began, time.perf_counter()


async def run(server, arguments):
    developer = Developer(server)
    pool, host = developer.pool(), "%s:%d" % server.address
    identities = await guests(server.address, pool, host, arguments.listeners)
    before, arrivals = resident(server), {}
    arrived = lambda identity, count, at: arrivals.setdefault((identity.name, count), at)
    await listen(server.address, identities, arrived)
    await asyncio.sleep(1)
    after = resident(server)
    each = (after - before) / arguments.listeners
    print(f"{arguments.listeners} listeners: {before >> 20} MiB before, {after >> 20} MiB with them")
    print(f"  {each:.0f} bytes each")
    if arguments.rate == 0:
        return
    updates, tasks = {}, set()
    connections = asyncio.Queue()
    for _ in range(32):
        connections.put_nowait(await asyncio.open_connection(*server.address))
    busy = set()

    async def one(identity):
        connection = await connections.get()
        count = identity.count + 1
        updates[(identity.name, count)] = await update(connection, identity)
        connections.put_nowait(connection)
        busy.discard(identity)

    began, due = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < arguments.seconds:
        while due < passed * arguments.rate:
            due += 1
            identity = random.choice(identities)
            if identity not in busy:
                busy.add(identity)
                task = asyncio.create_task(one(identity))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    while len(arrivals) < len(updates):
        await asyncio.sleep(0.01)
    print(f"  {len(updates) / arguments.seconds:.0f} updates/s for {arguments.seconds} s, all of them heard of")
    sent = sorted(arrivals[key] - began for key, (began, _) in updates.items())
    done = sorted(answered - began for began, answered in updates.values())
    show("an update was answered after", done)
    show("its event was there after", sent)
    print(f"  {resident(server) >> 20} MiB at the end")


def show(what, seconds):
    at = lambda share: seconds[min(len(seconds) - 1, int(len(seconds) * share))] * 1000
    print(f"  {what} {at(0.5):.2f} ms (median), {at(0.99):.2f} (99 %), {at(1):.2f} (longest)")


def resident(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) << 10


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=200, help="updates a second; 0: none")
    parser.add_argument("--seconds", type=int, default=30)
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as directory:
        server = ServerProcess(directory, CONFIG).start()
        try:
            asyncio.run(run(server, arguments))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
