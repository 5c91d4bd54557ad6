"""What a server asked of the system, as strace saw it."""

import re
import subprocess

# read side, log side, answer side
TRACED = (
    "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,pwritev2,"
    "fsync,fdatasync,sync_file_range,openat,rename,renameat2,ftruncate,fallocate"
)
WRITES = {"pwrite64", "pwritev", "pwritev2", "write", "writev"}
SYNCS = {"fsync", "fdatasync"}
LINE = re.compile(r"(\d+) +(.*)")
BEGUN = re.compile(r"(\w+)\((.*)")
RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")
SEGMENT = re.compile(r"\d+<([^>]*/hot/\d+\.log)>")


def wrapper(output):
    """The command that a traced server is started with; the server stays our child."""
    return ["strace", "-D", "-f", "-y", "-s", "300", "-e", f"trace={TRACED}", "-o", str(output)]


def why_not(directory):
    """Why processes cannot be traced here, or None."""
    try:
        probe = subprocess.run(
            ["strace", "-f", "-o", str(directory / "probe"), "true"], capture_output=True, text=True
        )
    except FileNotFoundError:
        return "strace is not installed"
    return f"tracing is not allowed: {probe.stderr.strip()}" if probe.returncode else None


class Call:
    """One system call: where in the trace it began and where it ended."""

    def __init__(self, name, arguments, began):
        self.name = name
        self.arguments = arguments
        self.began = began
        self.ended = None
        self.result = None

    def end(self, text, line):
        self.arguments += text
        self.ended = line
        self.result = text.rsplit(" = ", 1)[-1].strip()

    @property
    def segment(self):
        found = SEGMENT.match(self.arguments)
        return found and found.group(1)

    @property
    def failed(self):
        return self.result is None or self.result.startswith("-1")


def calls(text):
    """The calls of a trace in the order in which they began."""
    found, open_calls = [], {}
    for number, line in enumerate(text.splitlines()):
        process, rest = LINE.match(line).groups()
        if resumed := RESUMED.match(rest):
            if call := open_calls.pop(process, None):
                call.end(resumed.group(2), number)
        elif begun := BEGUN.match(rest):
            call = Call(begun.group(1), begun.group(2), number)
            found.append(call)
            if rest.endswith("<unfinished ...>"):
                open_calls[process] = call
            else:
                call.end("", number)
                call.result = rest.rsplit(" = ", 1)[-1].strip()
    return found


def answered_before_durable(trace, request, answer="HTTP/1.1 200"):
    """What is wrong with one update, found by words of its request; None if the log was written
    and then synced between the request's arrival and its answer."""
    came = [c for c in trace if c.name in {"read", "recvfrom", "recvmsg", "readv"}
            and request in c.arguments]
    if len(came) != 1:
        return f"the request was seen {len(came)} times"
    after = [c for c in trace if c.began > came[0].ended]
    socket = came[0].arguments.split(">")[0]
    answers = [c for c in after if c.name in {"write", "writev", "sendto", "sendmsg"}
               and answer in c.arguments and c.arguments.startswith(socket)]
    if not answers:
        return "the answer was not seen"
    between = [c for c in after if c.ended is not None and c.ended < answers[0].began]
    written = [c for c in between if c.name in WRITES and c.segment and not c.failed]
    if not written:
        return "nothing was written to the log before the answer"
    for write in written:
        synced = [c for c in between if c.name in SYNCS and c.segment == write.segment
                  and c.began > write.ended and c.result == "0"]
        if not synced:
            return f"{write.segment} was written and not synced before the answer"
    return None
