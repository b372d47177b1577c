"""What a run leaves: a line for each finished question, and beside it what is known of those under way.

``OUT.jsonl`` holds the results, in the order in which they were finished. ``OUT.jsonl.run`` is a folder for the run's
own purposes: ``run.json``, its options; ``replies.jsonl``, what the servers replied to questions that aren't finished.
In memory is a bit for each question, and the replies that an earlier start left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from inftythink_graph.append_only import AppendOnlyFile
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.files import write_atomically
from inftythink_graph.runner.inputs import InputFile
from inftythink_graph.runner.routed import RecordedReply

__all__ = ["RunOutput"]


class RunOutput:
    """The results and the replies of a run, open for writing.

    Args:
        path: the file of results.
        options: what the results depend on; an earlier start must have had the same.

    Attributes:
        kept: how many questions were finished at an earlier start.

    Raises:
        InvalidInputError: the file holds something else, or an earlier start had other options.
        JournalBusyError: another process writes it.
        JournalWriteError: it can't be written.
    """

    def __init__(self, path: str | Path, options: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._folder = self.path.with_name(f"{self.path.name}.run")
        self._options = dict(json.loads(json.dumps(dict(options), default=str)))
        self._done = bytearray()
        self.kept = 0
        self.input: InputFile | None = None
        self._check_options()
        self._results = AppendOnlyFile(self.path, self._accept)
        try:
            self._pending = self._read_replies()
            self._folder.mkdir(exist_ok=True)
            self._write_replies()
            self._replies = AppendOnlyFile(self._folder / "replies.jsonl", lambda *_: True, fsync=None)
        except BaseException:
            self._results.close()
            raise

    def _check_options(self) -> None:
        described = self._folder / "run.json"
        if not described.is_file():
            return
        known = json.loads(described.read_text(encoding="utf-8"))
        if known.get("input"):
            self.input = InputFile(**known["input"])
        differ = [name for name in self._options if known["options"].get(name) != self._options[name]]
        if differ:
            was = ", ".join(f"{name} {known['options'].get(name)!r}" for name in differ)
            now = ", ".join(f"{name} {self._options[name]!r}" for name in differ)
            raise InvalidInputError(
                f"{self.path} was begun with {was}, not {now}; allowed: the same, or another output"
            )

    def _accept(self, number: int, place: int, line: bytes, whole: bool) -> bool:
        try:
            index = json.loads(line)["index"]
            if not isinstance(index, int) or index < 0:
                raise ValueError
        except (ValueError, TypeError, KeyError):
            if whole:
                raise InvalidInputError(
                    f"line {number} of {self.path} is no result of a run; name a file that isn't there yet"
                ) from None
            return False
        self.kept += index not in self
        self._note(index)
        return True

    def __contains__(self, index: int) -> bool:
        """Whether a question is finished."""
        byte, bit = divmod(index, 8)
        return byte < len(self._done) and bool(self._done[byte] >> bit & 1)

    def _note(self, index: int) -> None:
        byte, bit = divmod(index, 8)
        if byte >= len(self._done):
            self._done.extend(bytes(max(byte + 1 - len(self._done), len(self._done))))
        self._done[byte] |= 1 << bit

    def _read_replies(self) -> dict[int, list[RecordedReply]]:
        """The replies to questions that are not finished."""
        found: dict[int, list[RecordedReply]] = {}
        path = self._folder / "replies.jsonl"
        if not path.is_file():
            return found
        with path.open("rb") as lines:
            for line in lines:
                try:
                    record = json.loads(line)
                except ValueError:  # torn by a kill
                    continue
                if record["index"] in self:
                    continue
                replies = found.setdefault(record["index"], [])
                if record["number"] == len(replies):
                    replies.append(record["reply"])
        return found

    def _write_replies(self) -> None:
        """Leave in the file what is still of use, so that it grows with what is under way and not with all there is."""
        lines = [
            self._reply_line(index, number, reply)
            for index, replies in self._pending.items()
            for number, reply in enumerate(replies)
        ]
        write_atomically(self._folder / "replies.jsonl", b"".join(lines))

    @staticmethod
    def _reply_line(index: int, number: int, reply: RecordedReply) -> bytes:
        return json.dumps({"index": index, "number": number, "reply": reply}, separators=(",", ":")).encode() + b"\n"

    def begin(self, input_file: InputFile | None) -> None:
        """Write down what the run is."""
        described = {"options": self._options, "input": asdict(input_file) if input_file else None}
        write_atomically(self._folder / "run.json", json.dumps(described, indent=1) + "\n")

    def replies_to(self, index: int) -> list[RecordedReply]:
        """What an earlier start was told on a question; handed out once."""
        return self._pending.pop(index, [])

    def add_reply(self, index: int, number: int, reply: RecordedReply) -> None:
        """Keep a reply, so that it need not be asked for again."""
        self._replies.append(self._reply_line(index, number, reply))

    def add(self, index: int, result: Mapping[str, Any]) -> None:
        """Keep a finished question.

        Raises:
            JournalWriteError: the disk is full; what was written before is kept.
        """
        line = json.dumps({"index": index, **result}, allow_nan=False).encode() + b"\n"
        self._results.append(line)
        self._note(index)

    def close(self, *, complete: bool = False) -> None:
        """Sync to the disk. ``complete``: all is finished, and the replies are of no more use."""
        self._replies.close()
        self._results.close()
        if complete:
            (self._folder / "replies.jsonl").unlink(missing_ok=True)
            (self._folder / "replies.jsonl.lock").unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
