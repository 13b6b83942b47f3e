"""A command that kills itself (SIGKILL) just before it does one thing to one file for the n-th time.

    python -m tests.killing EVENT NAME N command...

EVENT is what Python's audit calls it: ``os.rename`` (``os.replace`` too), ``os.remove``, ``open``. NAME ends the path.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path


def killed(event: str, name: str, *command: object, times: int = 1) -> None:
    """Run ``speechcue`` until it comes to that point, and fail if it never does."""
    line = [sys.executable, "-m", "tests.killing", event, name, str(times), *map(str, command)]
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    ended = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def kill_at(event: str, name: str, times: int) -> None:
    left = iter(range(times - 1))

    def watch(happened: str, details: tuple[object, ...]) -> None:
        if happened != event or not any(isinstance(it, str | os.PathLike) and str(it).endswith(name) for it in details):
            return
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


if __name__ == "__main__":
    kill_at(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    from speechcue_hf.cli import main

    sys.exit(main(sys.argv[4:]))
