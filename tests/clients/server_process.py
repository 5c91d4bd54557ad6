"""One server process: started on a free port, killed or stopped, and started again on its data."""

import os
import pathlib
import signal
import subprocess
import threading

WORKSPACE = pathlib.Path(__file__).resolve().parents[2]
ROOT_KEY = ("AKIDSYNCLINETESTS", "a secret access key of the tests".replace(" ", "/"))
READY = "syncline listening on "


def binary():
    """The program under test: SYNCLINE_BINARY, else the debug build."""
    default = WORKSPACE / "target" / "debug" / "syncline"
    return os.environ.get("SYNCLINE_BINARY", str(default))


class ServerProcess:
    """A server on a data directory of its own. Its log goes to a file beside the data."""

    def __init__(self, directory, config="", wrapper=(), environment=None):
        self.directory = pathlib.Path(directory)
        self.data = self.directory / "data"
        self.log = self.directory / "server.log"
        self.wrapper = list(wrapper)
        self.environment = {
            "SYNCLINE_ROOT_ACCESS_KEY_ID": ROOT_KEY[0],
            "SYNCLINE_ROOT_SECRET_ACCESS_KEY": ROOT_KEY[1],
        }
        if environment is not None:
            self.environment = environment
        self.command = [binary(), "serve", "--data", str(self.data), "--listen", "127.0.0.1:0"]
        if config:
            path = self.directory / "syncline.toml"
            path.write_text(config)
            self.command += ["--config", str(path)]
        self.process = None
        self.url = None

    def start(self):
        """Returns once the server says that it accepts connections."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SYNCLINE_")}
        environment.update(self.environment)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.wrapper + self.command,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=self.directory,
                text=True,
            )
        line = self.process.stdout.readline()
        if not line.startswith(READY):
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not start: {line!r}\n{self.log.read_text()}")
        self.url = line.removeprefix(READY).strip()
        return self

    @property
    def address(self):
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def kill(self):
        """The process is gone at once, as by a crash. What the system has is kept."""
        self._end(signal.SIGKILL)

    def stop(self):
        """Asks it to stop; returns its exit code."""
        return self._end(signal.SIGTERM)

    def restart(self):
        """kill -9 and start again."""
        self.kill()
        return self.start()

    def _end(self, how):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        # What it may still print must not fill the pipe.
        drain = threading.Thread(target=self.process.stdout.read)
        drain.start()
        code = self.process.wait()
        drain.join()
        self.process.stdout.close()
        self.process = None
        return code
