"""Word to systemd of how the process is: sd_notify(3), without the library."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

log = structlog.get_logger()

LONGEST_STATUS = 300


class SystemdNotifier:
    """Tells systemd, when it is there to listen; does nothing else, and never waits or raises.

    A message is one datagram (sd_notify(3), "Notes"). Any thread may call any method.
    """

    def __init__(self, address: str | None) -> None:
        """`address`: the value of ``NOTIFY_SOCKET``, a path or an abstract ``@name``, or None."""
        self._address = None if address is None else _as_bound(address)
        self._socket: socket.socket | None = None
        if address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.settimeout(0)
        self._heard = True

    def ready(self, status: str) -> None:
        """Started; `status` is what ``systemctl status`` shows."""
        self._tell("READY=1", _status(status))

    def status(self, status: str) -> None:
        """Show this in ``systemctl status``."""
        self._tell(_status(status))

    def alive(self) -> None:
        """Feed the watchdog."""
        self._tell("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """On the way out."""
        self._tell("STOPPING=1", _status(status))

    def close(self) -> None:
        """Tell nothing any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def _tell(self, *assignments: str) -> None:
        if self._socket is None or self._address is None:
            return
        message = "\n".join(assignments).encode(errors="backslashreplace")
        try:
            self._socket.sendto(message, self._address)
        except OSError as error:
            if self._heard:
                log.warning("systemd_not_told", why=error.strerror)
            self._heard = False
        else:
            self._heard = True


def _as_bound(address: str) -> str:
    """An abstract address is written with ``@`` and begins with a zero byte (unix(7))."""
    return f"\0{address[1:]}" if address.startswith("@") else address


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:LONGEST_STATUS]}"
