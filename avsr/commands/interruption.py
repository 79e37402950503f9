"""Ctrl+C: acknowledged at once, over within two seconds, with a word on how to go on.

Native code may keep the main thread busy for long, and Python only tells that thread. So another
thread is woken by the signal itself: it answers, and ends the process where that takes too long.
Whatever is written is written whole or not at all, so that nothing is torn by this.
"""

import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
from types import FrameType

from avsr.commands.messages import say

EXIT_CODE = 130  # 128 + SIGINT, what shells expect
_LONGEST_S = 1.5  # from the signal to the end
_advice: list[str] = []  # how the command at work goes on; empty where it ends in its own way
_said: set[str] = set()  # by whichever thread came first
_saying = threading.Lock()


def goes_on(advice: str) -> None:
    """From now on an interrupt is acknowledged, and the command over soon.

    Args:
        advice: how to go on after that.
    """
    _advice[:] = [advice]


def tell_how_to_go_on() -> None:
    """Say the last words of an interrupted command."""
    if _advice:
        _acknowledge()
    _say_once(f"avsr: stopped; {_advice[0] if _advice else 'what is written is whole'}")


def watch() -> None:
    """Answer interrupts from here on; for the main thread of a process of its own."""
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored
        signal.signal(signal.SIGINT, _interrupt_once)
        sys.unraisablehook = _tell_unraisable
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_answer, args=(woken, waker), daemon=True).start()


def _answer(woken: socket.socket, waker: socket.socket) -> None:
    """Wait for an interrupt; ``waker`` is held open by being an argument."""
    while not (signal.SIGINT in woken.recv(1) and _advice):
        pass
    _acknowledge()
    select.select([woken], [], [], _LONGEST_S)  # a second interrupt ends it at once
    tell_how_to_go_on()
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(EXIT_CODE)


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """Interrupt the main thread as usual, but not while it cleans up after the first time."""
    if _advice:
        signal.signal(number, lambda *_: None)
    signal.default_int_handler(number, frame)


def _tell_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """As usual, but for an interrupt that came while an object was deleted: it is answered."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)


def _acknowledge() -> None:
    _say_once("stopping; what is done is kept")


def _say_once(message: str) -> None:
    with _saying:
        if message not in _said:
            _said.add(message)
            say(message)
