"""Ids that are unique in a build, whatever ids its data sets bring along."""

from __future__ import annotations

import sqlite3

from datasets_build.sources.examples import Example, content_hash

__all__ = ["ExampleIds"]


class ExampleIds:
    """Gives every example an id of its own.

    The first example of an id keeps it; a later one of other content gets the hash of its content behind it, so that
    the same data set in the same order always gives the same ids. An example that is there already, with id and
    content, gets none.

    The ids that were given are held in a temporary database, which the system's disk takes over where they are many:
    memory stays bounded.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE given (id TEXT PRIMARY KEY, content TEXT) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def _take(self, uuid: str, content: str) -> bool:
        """Whether the id was free."""
        return self._database.execute("INSERT OR IGNORE INTO given VALUES (?, ?)", (uuid, content)).rowcount == 1

    def _content(self, uuid: str) -> str | None:
        found = self._database.execute("SELECT content FROM given WHERE id = ?", (uuid,)).fetchone()
        return found[0] if found else None

    def give(self, example: Example) -> str | None:
        """The id of an example; None for a duplicate of an earlier one."""
        content = content_hash(example.question, example.chain, example.conclusion, example.system)
        uuid = example.uuid
        while not self._take(uuid, content):
            if self._content(uuid) == content:
                return None
            uuid += f"-{content}"  # taken by another content, which may itself be called so
        return uuid
