"""The README's walk, run as it is printed, in a directory of its own."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import pytest
from server_process import READY, WORKSPACE, binary

# Where the AWS CLI of the pinned environment is.
CLIENTS = os.environ.get("SYNCLINE_CLIENTS_BIN", str(pathlib.Path(sys.executable).parent))
ADDRESS = ("127.0.0.1", 7070)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(language):
    text = (WORKSPACE / "README.md").read_text()
    return [body for name, body in BLOCK.findall(text) if name == language]


def taken():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(ADDRESS)
        except OSError:
            return True
    return False


@pytest.fixture
def walk(tmp_path):
    """A server as the README starts it; gives what runs a block of the walk."""
    if taken():
        pytest.skip(f"port {ADDRESS[1]}, which the README names, is taken on this machine")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SYNCLINE_"))}
    environment["PATH"] = f"{CLIENTS}:{environment['PATH']}"
    environment["HOME"] = str(tmp_path)
    with open(tmp_path / "server.log", "wb") as log:
        server = subprocess.Popen(
            [binary(), "serve"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=log,
            env=environment, text=True,
        )
    try:
        line = server.stdout.readline()
        assert line == f"{READY}http://{ADDRESS[0]}:{ADDRESS[1]}\n", (
            tmp_path / "server.log"
        ).read_text()

        def run(command):
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        yield run
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_the_walk_with_boto3(walk):
    (script,) = blocks("python")
    said = walk([sys.executable, "-c", script])
    expected = [line.split("# ", 1)[1] for line in script.splitlines() if "print(" in line
                and "  # " in line]
    assert expected, "the walk says what it prints"
    assert said.splitlines() == expected


def test_the_walk_with_the_aws_cli(walk):
    assert shutil.which("aws", path=CLIENTS)
    scripts = [body for body in blocks("sh") if "aws " in body]
    assert scripts
    said = walk(["bash", "-euc", "\n".join(scripts)])
    assert "theme" in said and '"Value": "dark"' in said
    assert '"DatasetSyncCount": 1' in said


def test_the_two_commands_are_there():
    shown = "\n".join(blocks("sh")).splitlines()
    assert "cargo run --release -- serve" in shown
    assert "tests/run" in shown
    assert os.access(WORKSPACE / "tests" / "run", os.X_OK)


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (WORKSPACE / "README.md").read_text()
    assert len(text.splitlines()) < 150
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        if not link.startswith("http"):
            assert (WORKSPACE / link).exists(), link
