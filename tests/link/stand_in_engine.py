"""A stand-in for ``sparkcode serve``: python stand_in_engine.py MODE [ARGUMENT...].

``serve`` tells its URL, answers a handshake, and leaves when its standard input closes; ``deaf``
does not leave. ``die`` prints the rest of its arguments to standard error, the last being the exit
status. ``silent`` says nothing, ``slow`` speaks before it serves.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

from websockets.sync.server import serve


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def leave() -> None:
    sys.stdin.read()
    # A shutdown that comes before serve_forever has begun would be missed.
    os._exit(0)


def serve_until(stdin_closes: bool) -> None:
    with serve(
        lambda connection: connection.send(" ".join(sys.argv[2:])), "127.0.0.1", 0
    ) as server:
        if stdin_closes:
            # Before anything is said: who hears it may be gone before the rest is.
            threading.Thread(target=leave).start()
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}/v1"
        print("[not the line that is waited for]", flush=True)
        line = {"type": "serving", "url": url, "engine": "stand-in", "model": "m"}
        print(json.dumps({**line, "pid": os.getpid(), "key": "ignored"}), flush=True)
        print("more output", flush=True)
        server.serve_forever()


def main() -> None:
    mode = sys.argv[1]
    if mode == "die":
        for line in sys.argv[2:-1]:
            say(line)
        sys.exit(int(sys.argv[-1]))
    if mode == "silent":
        sys.stdin.read()
        return
    if mode == "slow":
        for percent in range(0, 100, 20):
            sys.stderr.write(f"\rpacking {percent} %")
            sys.stderr.flush()
            time.sleep(0.1)
        say("\r\x1b[32mpacked\x1b[0m")
        sys.stderr.write("last words without an end")
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve_until(stdin_closes=mode != "deaf")


if __name__ == "__main__":
    main()
