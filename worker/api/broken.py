"""What can go wrong between us and the API, told in one sentence for people."""

from __future__ import annotations

import socket
import ssl
from enum import Enum


class Stage(Enum):
    """How far a call had come when it broke."""

    CONNECT = "connect"
    TLS = "tls"
    SEND = "send"
    REPLY = "reply"


class BrokenCallError(Exception):
    """A call that brought no whole reply.

    `detail` is free of secrets: it is written here from the address and the system's own words,
    never from a request, a proxy's URL or a reply's body.
    """

    def __init__(self, stage: Stage, detail: str, *, late: bool = False) -> None:
        super().__init__(detail)
        self.stage = stage
        self.detail = detail
        self.late = late
        """The time allowed was used up."""


class StayedError(Exception):
    """Nothing was sent: whoever makes the call was told, at the last moment, not to."""


def no_address(host: str, error: OSError | UnicodeError) -> BrokenCallError:
    """The host's name leads nowhere."""
    words = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
    detail = f"the name {host} cannot be resolved ({words}); check the API's URL and the DNS"
    return BrokenCallError(Stage.CONNECT, detail)


def late_connect(place: str, seconds: float) -> BrokenCallError:
    """Neither accepted nor refused in time; `place` is ``host:port``."""
    detail = f"no connection to {place} within {seconds:g} s; check the network and the firewall"
    return BrokenCallError(Stage.CONNECT, detail, late=True)


def no_connect(place: str, error: OSError) -> BrokenCallError:
    """Refused, or no way there."""
    words = error.strerror or type(error).__name__
    return BrokenCallError(Stage.CONNECT, f"no connection to {place} ({words})")


def no_tls(place: str, error: ssl.SSLError) -> BrokenCallError:
    """The peer is not who it should be, or does not speak TLS as we do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokenCallError(Stage.TLS, _bad_certificate(place, error))
    words = (error.reason or type(error).__name__).replace("_", " ").lower()
    return BrokenCallError(Stage.TLS, f"no TLS with {place} ({words}); is it an https address?")


def late_reply(seconds: float) -> BrokenCallError:
    """The whole call took longer than it may."""
    return BrokenCallError(Stage.REPLY, f"no whole reply within {seconds:g} s", late=True)


def cut_off(*, begun: bool) -> BrokenCallError:
    """The connection ended before the reply did."""
    detail = "in the middle of its reply" if begun else "without a reply"
    return BrokenCallError(Stage.REPLY, f"the API closed the connection {detail}")


def broken(error: OSError, *, begun: bool) -> BrokenCallError:
    """The system's or TLS's own word for a connection that ended before the reply did."""
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        words = (error.reason or type(error).__name__).replace("_", " ").lower()
        return BrokenCallError(Stage.REPLY, f"TLS broke off ({words})")
    if isinstance(error, ConnectionError | ssl.SSLEOFError):
        return cut_off(begun=begun)
    return BrokenCallError(Stage.REPLY, f"the connection failed ({error.strerror or 'no reason'})")


def unreadable(what: str) -> BrokenCallError:
    """A reply that is no HTTP, or more than we take."""
    return BrokenCallError(Stage.REPLY, f"the reply cannot be read: {what}")


_OTHER_NAME = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, …_IP_ADDRESS_MISMATCH
_NOT_YET, _EXPIRED = 9, 10
_UNKNOWN_AUTHORITY = {2, 18, 19, 20, 21}  # issuer not found, self-signed, not in our CA file


def _bad_certificate(place: str, error: ssl.SSLCertVerificationError) -> str:
    """By OpenSSL's verify codes (x509_vfy.h), with what an operator can do about each."""
    code = error.verify_code
    if code in _OTHER_NAME:
        return f"the certificate of {place} is for another name; check the API's URL"
    if code in _UNKNOWN_AUTHORITY:
        return (
            f"the certificate of {place} is from an authority that is not trusted here"
            f" ({error.verify_message}); if it is the right one, name its file as the CA file"
        )
    if code in {_EXPIRED, _NOT_YET}:
        state = "has expired" if code == _EXPIRED else "is not valid yet"
        return f"the certificate of {place} {state}; check this machine's clock, then tell the API"
    return f"the certificate of {place} is not valid ({error.verify_message})"
