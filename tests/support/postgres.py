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
import signal
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

STARTUP_SECONDS = 60.0
SYSTEM_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
USERS = ("postgres", "nobody")  # a server refuses to run as root


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


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while True:
        try:
            psycopg.connect(address, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {error}\n{log.read_text()}") from error
            time.sleep(0.05)
        else:
            return


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server with data of its own; stop it and delete them on leaving.

    Raises:
        FileNotFoundError: the machine has no PostgreSQL.
        RuntimeError: the server doesn't start; its log is in the message.
    """
    user = _server_user()
    options: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.defpath, "TZ": "UTC"}}
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
    try:
        folder.chmod(0o755)
        home = folder / "home"
        home.mkdir(mode=0o700)
        if user is not None:
            os.chown(home, user.pw_uid, user.pw_gid)
            options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        programs, data, log = _programs(folder), home / "data", folder / "log"
        init = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
        subprocess.run(init, check=True, capture_output=True, timeout=STARTUP_SECONDS, **options)
        settings = {"listen_addresses": "", "unix_socket_directories": home, "shared_buffers": "16MB", "fsync": "off"}
        command: list[Any] = [programs / "postgres", "-D", data]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(log, "wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, **options)
        try:
            address = make_conninfo(host=str(home), user="postgres", dbname="postgres")
            _wait(process, address, log)
            yield Postgres(address)
        finally:
            process.send_signal(signal.SIGINT)  # its fast shutdown: sessions are cut off
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder)
