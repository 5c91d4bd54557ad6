"""A small disk of its own, which can become full."""

import os
import shutil
import subprocess


class Disk:
    """ext4 on a file, mounted beneath a directory."""

    def __init__(self, directory, mebibytes):
        self.path = directory / "mount"
        self.filler = self.path / "filler"
        self.image = directory / "image"
        self.path.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(mebibytes << 20)

    def mount(self):
        """Why it cannot be mounted here, or None."""
        if shutil.which("mkfs.ext4") is None:
            return "there is no mkfs.ext4"
        for command in (
            ["mkfs.ext4", "-q", "-F", "-m", "0", self.image],
            ["mount", "-o", "loop", self.image, self.path],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"a file cannot be mounted here: {done.stderr.strip()}"
        return None

    def fill(self):
        """Takes all of the space, to the last byte."""
        with open(self.filler, "ab", buffering=0) as filler:
            for size in (1 << 20, 4096, 1):
                try:
                    while filler.write(b"\0" * size):
                        os.fsync(filler.fileno())
                except OSError:
                    pass

    def empty(self):
        """Gives it back."""
        self.filler.unlink()

    def unmount(self):
        if os.path.ismount(self.path):
            subprocess.run(["umount", self.path], check=True)
