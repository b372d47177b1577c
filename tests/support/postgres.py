"""A real PostgreSQL server for tests: its own data, a Unix socket instead of a port, gone when the test is.

The programs are those of the package ``pgserver``, or the system's own where there is no wheel of it. The package is
never imported: as root it adds a user to the machine and opens up every folder above the environment. Here its programs
are copied to where the server's user may read them.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

__all__ = ["Postgres", "running_postgres"]

STARTUP_SECONDS = 300.0
SYSTEM_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
USERS = ("postgres", "nobody")  # a server refuses to run as root

# Keeps the server for as long as its own input stays open: that closes with the tests, even if they are killed.
# An interrupt is the server's fast shutdown: sessions are cut off.
KEEPER = 'folder=$1; shift; "$@" </dev/null & server=$!; read -r _; kill -INT $server; wait $server; rm -rf "$folder"'


@dataclass
class Postgres:
    """A server that runs.

    Attributes:
        address: connection string of its first database.
    """

    address: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_database(self) -> str:
        """Make an empty database; returns its connection string."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return make_conninfo(self.address, dbname=name)


def _programs(folder: Path) -> Path:
    """The folder of initdb and postgres, readable for every user."""
    package = find_spec("pgserver")
    if package is not None and package.submodule_search_locations:
        origin = Path(package.submodule_search_locations[0])
        leave_out = shutil.ignore_patterns("include", "*.a", "__pycache__")
        for part in (Path("pgserver", "pginstall"), Path("pgserver.libs")):  # programs look for libraries beside them
            if (origin.parent / part).is_dir():
                shutil.copytree(origin.parent / part, folder / part, ignore=leave_out)
        return folder / "pgserver" / "pginstall" / "bin"
    found = sorted(path for place in SYSTEM_PLACES for path in Path("/").glob(place.lstrip("/")))
    if not found:
        raise FileNotFoundError("no PostgreSQL found: neither the package pgserver nor a server of the system")
    return found[-1]


def _server_user() -> pwd.struct_passwd | None:
    """Whom to run the server as; None for the user that the tests run as."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(names[name] for name in USERS if name in names)


def _wait(address: str, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while True:
        try:
            psycopg.connect(address, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {error}\n{log.read_text()}") from error
            time.sleep(0.05)
        else:
            return


def _give(folder: Path, user: pwd.struct_passwd) -> None:
    """Make the user the owner of a folder and all that is in it."""
    for place, _, names in os.walk(folder):
        for path in (place, *(os.path.join(place, name) for name in names)):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server with data of its own; stop it and delete them on leaving.

    Raises:
        FileNotFoundError: the machine has no PostgreSQL.
        RuntimeError: the server doesn't start; its log is in the message.
    """
    user = _server_user()
    options: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC"}}
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
    data, log = folder / "data", folder / "log"
    try:
        programs = _programs(folder)
        if user is not None:
            _give(folder, user)
            options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        init = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
        subprocess.run(init, check=True, capture_output=True, timeout=STARTUP_SECONDS, **options)
        settings = {"listen_addresses": "", "unix_socket_directories": folder, "shared_buffers": "16MB", "fsync": "off"}
        command: list[Any] = ["sh", "-c", KEEPER, "keeper", folder, programs / "postgres", "-D", data]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(log, "wb") as output:
            keeper = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True, **options
            )
        with keeper:  # closes its input and waits for it
            address = make_conninfo(host=str(folder), user="postgres", dbname="postgres")
            _wait(address, log)
            yield Postgres(address)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
