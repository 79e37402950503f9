"""A client of the live route of ``avsr serve``: plays a file as if it were live, prints captions.

    avsr serve --model grid-tiny &
    python recipes/live/client.py talk.mp4 --model grid-tiny

The messages are described in ``docs/serve.md``. A key is taken from AVSR_API_KEY.
"""

import argparse
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from avsr.live.clocks import WallClock
from avsr.live.sources import AsIfLive, Picture
from avsr.live.wire import pack_picture, pack_sound

_STEP_S = 0.04  # between looks at the file


def captions(path: Path, address: str, **start: Any) -> Iterator[dict[str, Any]]:
    """Play a file to a server in real time.

    Args:
        path: a media file.
        address: of the route, ``ws://.../v1/live``.
        start: the model, and how to read: fields of the first message.

    Yields:
        The server's events, up to the one that is "done" or an "error".
    """
    key = os.environ.get("AVSR_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with connect(address, additional_headers=headers, compression=None) as connection:
        connection.send(json.dumps({"event": "start", **start}))
        player = threading.Thread(target=_play, args=(connection, path), daemon=True)
        for message in connection:
            event = json.loads(message)
            if event["event"] == "ready":
                player.start()
            yield event
            if event["event"] in ("done", "error"):
                return


def _play(connection: ClientConnection, path: Path) -> None:
    source, clock = AsIfLive(path), WallClock()
    try:
        while not source.is_over:
            for item in source.take(clock.now()):
                packed = pack_picture(item) if isinstance(item, Picture) else pack_sound(item)
                connection.send(packed)
            clock.wait_until(clock.now() + _STEP_S)
        connection.send(json.dumps({"event": "finish"}))
    except ConnectionClosed:  # the reason has been received
        return


def main() -> None:
    """Play a file, print each sentence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("--address", default="ws://127.0.0.1:8000/v1/live")
    parser.add_argument("--model", default="english")
    parser.add_argument("--modality", default="auto")
    options = parser.parse_args()
    sentence: list[str] = []
    for event in captions(
        options.file, options.address, model=options.model, modality=options.modality
    ):
        if event["event"] == "error":
            raise SystemExit(event["error"]["message"])
        if event["event"] == "words":
            sentence += [word["word"] for word in event["committed"]]
            if event["sentence_ends"] and sentence:
                print(*sentence, flush=True)
                sentence = []
        elif event["event"] in ("level", "warning"):
            print(f"({event.get('message') or 'keeping up with ' + event['level']})", flush=True)


if __name__ == "__main__":
    main()
