"""The command `serve`: the API on this machine's loopback, by granian, until it is stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from holdfast.errors import InputOutputError
from holdfast.invocation import Invocation, command
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from granian.server import MPServer

ADDRESS = "127.0.0.1"
THREADS = 8
DRAIN_SECONDS = 10
HEADER_MILLISECONDS = 10_000
POLL_SECONDS = 0.02
LOG = {"formatter": "generic", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"}


@command("serve")
@click.option("--port", type=click.IntRange(1, 65535), help="The loopback port; default: the setting 'port'.")
def serve(invocation: Invocation, port: int | None) -> None:
    """Serve the API on 127.0.0.1 until it is stopped.

    Example: holdfast serve --port 8000
    """
    workspace = invocation.workspace
    port = port or workspace.port
    refuse_taken_port(port)
    server = new_server(port)
    server.on_startup(partial(_prepare, server, port, partial(_announce, invocation, port)))
    run_until_stopped(server, workspace)


def refuse_taken_port(port: int) -> None:
    """Raises InputOutputError when nothing can listen on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            message = f"cannot listen on {ADDRESS}:{port}: {error.strerror}"
            raise InputOutputError(message, hint="choose another port: holdfast serve --port N") from None


def new_server(port: int) -> MPServer:
    """A server with one worker process and a few threads, silent but for errors, which go to standard error."""
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server import MPServer

    return MPServer(
        "holdfast",
        address=ADDRESS,
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=THREADS,
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS),
        log_level=LogLevels.error,
        log_dictconfig={"handlers": {"console": LOG, "access": LOG}},
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN_SECONDS,
    )


def run_until_stopped(server: MPServer, workspace: Workspace) -> None:
    """Serve `workspace` until SIGTERM, SIGINT or SIGHUP; running requests have ten seconds to end.

    Raises InputOutputError when the worker process cannot be kept running.
    """
    # A worker that is started anew must not inherit this process's threads half-way, as a fork does.
    multiprocessing.set_start_method("spawn", force=True)
    try:
        server.serve(target_loader=partial(load_in_worker, workspace), wrap_loader=False)
    except SystemExit:
        raise InputOutputError("the server's worker process ended and could not be kept running") from None


def load_in_worker(workspace: Workspace) -> Any:
    """The application, in a worker process that ends when the process that started it has gone, however it went."""
    # Ctrl+C reaches the whole group of a terminal: only the parent acts on it, and tells the worker.
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from holdfast.web.application import create_app

    return create_app(workspace)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)


def _prepare(server: MPServer, port: int, ready: Callable[[], None]) -> None:
    """Once granian has set its signal handlers: a closed terminal stops the server; say when the worker answers."""
    signal.signal(signal.SIGHUP, server.signal_handler_interrupt)
    threading.Thread(target=_when_answering, args=(server, port, ready), daemon=True).start()


def _when_answering(server: MPServer, port: int, ready: Callable[[], None]) -> None:
    while not server.main_loop_interrupt.wait(POLL_SECONDS):
        with socket.socket() as probe:
            if probe.connect_ex((ADDRESS, port)) == 0:
                ready()
                return


def _announce(invocation: Invocation, port: int) -> None:
    address = f"http://{ADDRESS}:{port}"
    if invocation.as_json:
        click.echo(json.dumps({"address": address}))
    elif not invocation.quiet:
        click.echo(f"holdfast: serving on {address} (Ctrl+C stops)")
