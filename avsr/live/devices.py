"""Camera and microphone of this machine, each read in a thread of its own."""

import sys
import threading
from collections import deque
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from avsr.errors import InputError, one_line
from avsr.live.clocks import Clock
from avsr.live.sources import Picture, Sound
from avsr_frontends.pictures import BadPictureError, upright_rgb

__all__ = ["Devices"]

_MOST_WAITING = 250  # pictures, ten seconds: older ones are lost
_CAMERAS = {"linux": ("v4l2", "/dev/video0"), "darwin": ("avfoundation", "0")}
_WINDOWS = ("dshow", "video=Integrated Camera")


class Devices:
    """What a camera and a microphone give, with the times of one clock.

    Use it in a ``with`` statement.

    Attributes:
        is_over: both have ended by themselves, as a camera does that is unplugged.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        camera: str | None = None,
        microphone: str | None = None,
        sound: bool = True,
        picture: bool = True,
        camera_format: str | None = None,
    ) -> None:
        """Open the devices.

        Args:
            clock: gives the times.
            camera: as FFmpeg calls it, such as ``/dev/video0``; None is the usual first one.
            microphone: number or part of a name, as sounddevice lists them; None is the default.
            sound: whether the microphone is wanted.
            picture: whether the camera is wanted.
            camera_format: FFmpeg's name of the input; None is that of this system's cameras.

        Raises:
            InputError: if one cannot be opened.
        """
        self._clock, self._lock = clock, threading.Lock()
        self._waiting: deque[Picture | Sound] = deque()
        self._stop = threading.Event()
        self._camera: threading.Thread | None = None
        self._microphone: Any = None
        self._sound_begins: float | None = None  # on the clock, at zero of the sound card's
        if picture:
            container = _open_camera(camera, camera_format)
            self._camera = threading.Thread(target=self._film, args=(container,), daemon=True)
        if sound:
            try:
                self._microphone = _open_microphone(microphone, self._hear)
            except Exception:
                self._camera = None
                raise
        if self._camera is not None:
            self._camera.start()
        if self._microphone is not None:
            self._microphone.start()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        filming = self._camera is not None and self._camera.is_alive()
        hearing = self._microphone is not None and self._microphone.active
        return not (filming or hearing or self._waiting)

    def take(self, now_s: float) -> list[Picture | Sound]:
        """What has come since the last call."""
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
        return taken

    def close(self) -> None:
        """Let go of the devices."""
        self._stop.set()
        if self._microphone is not None:
            self._microphone.close()
        if self._camera is not None:
            self._camera.join(timeout=2.0)

    def __enter__(self) -> "Devices":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _put(self, item: Picture | Sound) -> None:
        with self._lock:
            self._waiting.append(item)
            while len(self._waiting) > _MOST_WAITING:
                self._waiting.popleft()

    def _film(self, container: Any) -> None:
        with container:
            try:
                for frame in container.decode(video=0):
                    if self._stop.is_set():
                        return
                    time_s = self._clock.now()
                    try:
                        rgb = upright_rgb(frame, None)
                    except BadPictureError:
                        continue
                    self._put(Picture(rgb=rgb, time_s=time_s))
            except FFmpegError:  # unplugged: the sound goes on
                return

    def _hear(self, samples: np.ndarray, _n: int, times: Any, _status: Any) -> None:
        begins = times.inputBufferAdcTime
        if self._sound_begins is None:
            length_s = len(samples) / self._microphone.samplerate
            self._sound_begins = max(0.0, self._clock.now() - length_s) - begins
        rate = round(self._microphone.samplerate)
        self._put(Sound(samples=samples.copy(), rate=rate, time_s=begins + self._sound_begins))


def _open_camera(name: str | None, camera_format: str | None) -> Any:
    usual_format, usual_name = _CAMERAS.get(sys.platform, _WINDOWS)
    name = name or usual_name
    try:
        container = av.open(name, format=camera_format or usual_format)
    except (FFmpegError, ValueError) as error:
        raise InputError(
            f"camera {name}: cannot be opened ({one_line(error)}); name another one, or use "
            "modality 'audio'",
            settings=("camera", "modality"),
        ) from error
    if not container.streams.video:
        container.close()
        raise InputError(f"camera {name}: gives no picture; name another", settings=("camera",))
    return container


def _open_microphone(name: str | None, hear: Any) -> Any:
    device = int(name) if name is not None and name.isdecimal() else name
    try:
        import sounddevice  # looks for the system's PortAudio

        return sounddevice.InputStream(device=device, channels=1, callback=hear)
    except Exception as error:  # OSError without PortAudio, its own errors without a device
        raise InputError(
            f"microphone {'(default)' if name is None else name}: cannot be opened "
            f"({one_line(error)}); name another one, or use modality 'video'",
            settings=("microphone", "modality"),
        ) from error
