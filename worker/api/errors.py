"""What can go wrong between us and the API: the exceptions of requests, in our own words.

Each is an exception that requests documents, so whoever uses the session finds what they expect.
Its message is one sentence for people, free of secrets: it is written here from the address and
the system's own words, never from a request, a proxy's user or a reply's body.
"""

from __future__ import annotations

import errno
import socket
import ssl

from requests.exceptions import (
    ConnectionError as NoConnectionError,
)
from requests.exceptions import (
    ConnectTimeout,
    ReadTimeout,
    SSLError,
)
from requests.exceptions import RequestException as RequestException  # noqa: PLC0414 (for others)


class NotSentError(RequestException):
    """Nothing was sent: `leave` said no."""


class ShortageError(NotSentError):
    """Nothing was sent, for this machine lacks what a connection takes."""


_LACKING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}


def raise_if_short(error: OSError | UnicodeError) -> None:
    """Raise `ShortageError` where this machine, and not the other end, is why a step failed.

    The resolver does not pass on why it could not open a socket: so one is opened to see.
    """
    if isinstance(error, socket.gaierror):
        try:
            socket.socket().close()
        except OSError as lacking:
            error = lacking
    if isinstance(error, OSError) and error.errno in _LACKING:
        raise ShortageError(error.strerror) from None


def no_address(host: str, error: OSError | UnicodeError) -> NoConnectionError:
    """The host's name leads nowhere."""
    words = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
    return NoConnectionError(
        f"the name {host} cannot be resolved ({words}); check the API's URL and the DNS"
    )


def late_connect(place: str, seconds: float) -> ConnectTimeout:
    """Neither accepted nor refused in time; `place` is ``host:port``."""
    return ConnectTimeout(
        f"no connection to {place} within {seconds:g} s; check the network and the firewall"
    )


def no_connect(place: str, why: OSError | str) -> NoConnectionError:
    """Refused, or no way there."""
    words = why if isinstance(why, str) else why.strerror or type(why).__name__
    return NoConnectionError(f"no connection to {place} ({words})")


def no_tls(place: str, error: ssl.SSLError) -> SSLError:
    """The peer is not who it should be, or does not speak TLS as we do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return SSLError(_bad_certificate(place, error))
    words = (error.reason or type(error).__name__).replace("_", " ").lower()
    return SSLError(f"no TLS with {place} ({words}); is it an https address?")


def late_reply(seconds: float) -> ReadTimeout:
    """The whole call took longer than it may."""
    return ReadTimeout(f"no whole reply within {seconds:g} s")


def cut_off(*, begun: bool) -> NoConnectionError:
    """The connection ended before the reply did."""
    when = "in the middle of its reply" if begun else "without a reply"
    return NoConnectionError(f"the API closed the connection {when}")


def broken(error: OSError, *, begun: bool) -> NoConnectionError:
    """The system's or TLS's own word for a connection that ended before the reply did."""
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        words = (error.reason or type(error).__name__).replace("_", " ").lower()
        return NoConnectionError(f"TLS broke off ({words})")
    if isinstance(error, ConnectionError | ssl.SSLEOFError):
        return cut_off(begun=begun)
    return NoConnectionError(f"the connection failed ({error.strerror or 'no reason'})")


def unreadable(what: str) -> NoConnectionError:
    """A reply that is no HTTP, or more than we take."""
    return NoConnectionError(f"the reply cannot be read: {what}")


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
