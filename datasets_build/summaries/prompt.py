"""What the summarizer is asked, as data: a YAML file that comes with the package and that a user can replace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path
from string import Formatter

from inftythink_graph.errors import InvalidInputError, one_line

__all__ = ["SummaryPrompt", "default_prompt", "load_prompt"]

# For each text of the file: the placeholders that it must have, and those that it may have.
_PLACEHOLDERS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "instruction": (frozenset(), frozenset({"budget"})),
    "opening": (frozenset({"question"}), frozenset()),
    "system_note": (frozenset({"system"}), frozenset()),
    "turn": (frozenset({"segment"}), frozenset({"number", "budget"})),
    "omitted": (frozenset({"summaries"}), frozenset({"count"})),
}


@dataclass(frozen=True, slots=True)
class SummaryPrompt:
    """The texts that a summary request is made of; each has its placeholders, see ``prompts/summary.yaml``.

    Attributes:
        version: the author's name for this wording.
        instruction: the system message; may have ``{budget}``.
        opening: comes before the first segment; has ``{question}``.
        system_note: follows it where the problem came with a system prompt; has ``{system}``.
        turn: one segment and the request to summarize; has ``{segment}``, may have ``{number}`` and ``{budget}``.
        omitted: stands for segments that are left out; has ``{summaries}``, may have ``{count}``.

    Raises:
        InvalidInputError: a text is empty, lacks a placeholder, or has one that is unknown.
    """

    version: str
    instruction: str
    opening: str
    system_note: str
    turn: str
    omitted: str

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) or not value.strip():
                raise InvalidInputError(f"the prompt's {field.name!r} must be a text that isn't empty, got {value!r}")
        for name, (required, optional) in _PLACEHOLDERS.items():
            _check(name, getattr(self, name), required, required | optional)

    @property
    def digest(self) -> str:
        """Hash of the whole wording: changes with every character, whether or not the version was changed too."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def identity(self) -> str:
        """Version and hash, for cache keys and for the record of a build: ``1-0123456789abcdef``."""
        return f"{self.version}-{self.digest}"


def _check(name: str, text: str, required: frozenset[str], allowed: frozenset[str]) -> None:
    listed = ", ".join(f"{{{each}}}" for each in sorted(allowed))
    advice = f"allowed there: {listed}; a literal brace is written twice, {{{{ and }}}}"
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise InvalidInputError(f"the prompt's {name!r} has an unpaired brace ({error}); {advice}") from error
    found = set()
    for _, placeholder, spec, conversion in parsed:
        if placeholder is None:
            continue
        if placeholder not in allowed or spec or conversion:
            shown = placeholder + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise InvalidInputError(f"the prompt's {name!r} has the unknown placeholder {{{shown}}}; {advice}")
        found.add(placeholder)
    if missing := sorted(required - found):
        raise InvalidInputError(f"the prompt's {name!r} lacks {', '.join(f'{{{each}}}' for each in missing)}; {advice}")


def _read(text: str, origin: str) -> SummaryPrompt:
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{origin} is no YAML: {one_line(error)}") from error
    names = [field.name for field in fields(SummaryPrompt)]
    if not isinstance(content, dict):
        raise InvalidInputError(f"{origin} must be a YAML mapping with the keys {', '.join(names)}")
    unknown, missing = [str(key) for key in content if key not in names], [key for key in names if key not in content]
    if unknown or missing:
        wrong = [f"unknown: {', '.join(unknown)}"] * bool(unknown) + [f"missing: {', '.join(missing)}"] * bool(missing)
        raise InvalidInputError(f"{origin} has wrong keys ({'; '.join(wrong)}); it must have {', '.join(names)}")
    try:
        # YAML reads an unquoted 1 or 1.2 as a number, which is a fine version all the same.
        return SummaryPrompt(**{**content, "version": str(content["version"] or "")})
    except InvalidInputError as error:
        raise InvalidInputError(f"{origin}: {error}") from error


def default_prompt() -> SummaryPrompt:
    """The wording that comes with the package."""
    return _read(
        (files("datasets_build.summaries") / "prompts" / "summary.yaml").read_text(encoding="utf-8"), "summary.yaml"
    )


def load_prompt(path: str | Path | None = None) -> SummaryPrompt:
    """The wording in a file; None is the package's own.

    Raises:
        InvalidInputError: there is no such file, or it is no valid prompt; the message says what is allowed.
    """
    if path is None:
        return default_prompt()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the prompt file {path} can't be read: {error}") from error
    return _read(text, str(path))
