"""Frames on standard input -> all that the pipeline makes of them, to compare two builds of it.

``python tests/support/fed.py``: each line is a frame, as text in JSON with a character a byte.
"""

import json
import sys

import mailingest
from mailingest.config import Settings
from mailingest.wiring import build_pipeline


def main() -> None:
    """Live, with what comes late and over several connections, and as a file that is replayed."""
    frames = [json.loads(line).encode("latin-1") for line in sys.stdin]
    print(mailingest.build())
    for live in (True, False):
        pipeline = build_pipeline(Settings(), live=live)
        pipeline.begin_file()
        now = 1_795_537_000.0
        for number, frame in enumerate(frames):
            now += 0.01
            peer, stream = ("192.0.2.7", number % 3) if live else ("", 0)
            documents = pipeline.feed(frame, now, peer, stream)
            if not number % 1_000:
                documents += pipeline.tick(now)
            for one in documents:
                print(one.index, one.id, one.seconds, one.body.decode("utf-8", "surrogatepass"))
        again = build_pipeline(Settings(), live=live)
        again.restore(list(pipeline.snapshot()))
        print(b"\n".join(again.snapshot()).decode())
        print(*((one.id, one.body) for one in pipeline.flush()), pipeline.counters)


if __name__ == "__main__":
    main()
