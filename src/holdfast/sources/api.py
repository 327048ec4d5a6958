"""The running API, asked over HTTP."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from holdfast.errors import SourceUnreachable, UsageError

ENDPOINTS = ("prediction", "scoring", "summarystats", "diagnostics")
SECONDS = 30
PAUSE_SECONDS = 0.1


def wait_for(address: str, seconds: float) -> None:
    """Wait until something listens at `address`, at most `seconds`: an API that was just started needs a moment."""
    if not _is_http(address):
        return
    place = urlsplit(address)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            socket.create_connection((place.hostname, place.port or 80), timeout=seconds).close()
        except OSError:
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _is_http(address: str) -> bool:
    try:
        place = urlsplit(address)
        return place.scheme in {"http", "https"} and bool(place.hostname) and (place.port or 80) > 0
    except ValueError:
        return False


def get_json(address: str, endpoint: str) -> Any:
    """The JSON answer of one endpoint; an error answer of the API is an answer too.

    Raises SourceUnreachable when nothing answers at `address` or the answer is not JSON, UsageError when the
    address is not an http one.
    """
    if not _is_http(address):
        raise UsageError("not an http address", value=address, hint="like http://127.0.0.1:8000")
    url = f"{address.rstrip('/')}/{endpoint}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=SECONDS) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        message = f"no API answers at {address} ({reason})"
        raise SourceUnreachable(message, hint="start it: holdfast serve") from None
    try:
        return json.loads(body)
    except ValueError:
        message = f"something else answers at {address}: /{endpoint} is not JSON"
        raise SourceUnreachable(message, value=repr(body[:40]), hint="choose another port in config.json") from None
