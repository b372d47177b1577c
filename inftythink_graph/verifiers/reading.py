"""Reading a verdict out of what a judge or a tool said: a line of plain text, JSON, or a mapping.

What is read is a decision that was stated as one. A text that states none, or two that contradict each other, is
unreadable (None): what to make of it is the caller's business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from inftythink_graph.protocol import TAGS
from inftythink_graph.verdicts import Verdict

__all__ = ["mapping_verdict", "text_verdict"]

_OPEN_THOUGHT, _CLOSE_THOUGHT = TAGS[:2]
_ACCEPTS = frozenset(("accept", "accepted", "correct", "right", "valid", "true", "yes", "pass", "passed"))
_CLEAR = "accepted|accept|rejected|reject|incorrect|wrong|invalid"
# The beginning of something else as well: "correct answer: 8", "no errors".
_DOUBTFUL = "correct|right|valid|true|false|yes|no|passed|pass|failed|fail"
_WORD = rf"(?P<word>(?:{_CLEAR})\b|(?:{_DOUBTFUL})\b(?![ \t]+(?!because|since|as\b)\w))"
_MARKUP = r"*_`\"'\[\](){}<>"
_MARKS = rf"[ \t{_MARKUP}]{{0,8}}"

_STATED = re.compile(
    rf"\b(?:verdict|decision|judge?ment){_MARKS}(?:[:=\u2013\u2014-]|\n|\b(?:is|that)\b){{1,2}}[\s{_MARKUP}]{{0,8}}"
    r"(?:(?:that[ \t]+)?the[ \t]+(?:(?:proposed|given|final)[ \t]+)?(?:answer|solution)[ \t]+is[ \t]+)?"
    rf"(?P<negated>not[ \t]+)?{_WORD}{_MARKS}(?P<rest>[^\n]*)",
    re.IGNORECASE,
)
_BARE = re.compile(rf"{_MARKS}{_WORD}{_MARKS}(?:$|[.,;!\u2013\u2014-](?P<rest>.*))", re.IGNORECASE)
_OTHER_WORD = re.compile(rf"(?:/|\||,?[ \t]*\bor\b){_MARKS}(?:{_CLEAR}|{_DOUBTFUL})\b", re.IGNORECASE)
_REASON = re.compile(rf"\b(?:reason|explanation){_MARKS}[:=]{_MARKS}(?P<rest>[^\n]+)", re.IGNORECASE)
_LEAD = re.compile(r"[.!]+\s+|(?:because|since|reason)\b[ \t:]*", re.IGNORECASE)
_MOST_OBJECTS = 50  # opening braces from which a JSON object is tried: formulas have them, too

_VERDICT_KEYS = ("accepted", "accept", "verdict", "decision", "correct", "is_correct", "valid", "passed", "ok")
_REASON_KEYS = ("reason", "explanation", "message", "error", "detail", "feedback")


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))


def _tidy(text: str) -> str:
    """A reason in one line, without the punctuation that led to it and the markup around it."""
    edges = f" \t:;,|\u2013\u2014-{_MARKUP}".replace("\\", "")
    text = " ".join(text.split()).lstrip(edges).rstrip(" \t*_`\"'|")
    lead = _LEAD.match(text)
    return text[lead.end() :] if lead else text


def _said(accepted: bool, reason: str) -> Verdict:
    return Verdict(accepted, "" if accepted else reason)


def mapping_verdict(said: Mapping[str, Any]) -> Verdict | None:
    """The verdict in a mapping; None where it holds none.

    The decision is the first of ``accepted``, ``accept``, ``verdict``, ``decision``, ``correct``, ``is_correct``,
    ``valid``, ``passed`` and ``ok`` that is there: true or false, or a word for it. The reason is under ``reason``,
    ``explanation``, ``message``, ``error``, ``detail`` or ``feedback``.
    """
    given = {str(key).lower(): value for key, value in said.items()}
    reason = next((_tidy(str(given[key])) for key in _REASON_KEYS if given.get(key)), "")
    for key in _VERDICT_KEYS:
        value = given.get(key)
        if isinstance(value, bool):
            return _said(value, reason)
        if isinstance(value, str) and (read := _stated(f"verdict: {value}")):
            return _said(read.accepted, reason or read.reason)
    return None


def _json_verdict(text: str) -> Verdict | None:
    """The verdict in the JSON object, fenced or bare, that the text ends with; None where it ends with none."""
    text = text.rstrip("` \t\n")
    if not text.endswith("}"):
        return None
    for brace in [match.start() for match in re.finditer(r"\{", text)][-_MOST_OBJECTS:]:
        try:
            said = json.loads(text[brace:])
        except (ValueError, RecursionError):
            continue
        return mapping_verdict(said)
    return None


def _stated(text: str) -> Verdict | None:
    """What the last line of the form ``verdict: ...`` states."""
    verdict = None
    for match in _STATED.finditer(text):
        if _OTHER_WORD.match(match["rest"]):  # "ACCEPT or REJECT": the instruction, repeated
            continue
        accepted = (match["word"].lower() in _ACCEPTS) != bool(match["negated"])
        after = _REASON.search(text, match.end())
        reason = match["rest"] if _has_words(match["rest"]) else after["rest"] if after else ""
        verdict = _said(accepted, _tidy(reason or _last_paragraph(text[: text.rfind("\n", 0, match.start()) + 1])))
    return verdict


def _last_paragraph(text: str) -> str:
    """Where a judge argues first and decides then, the reason stands right before the decision."""
    last = next((part for part in reversed(re.split(r"\n\s*\n", text)) if _has_words(part)), "")
    named = _REASON.search(last)
    return named["rest"] if named else last


def _bare(text: str) -> Verdict | None:
    """What a first or a last line says that is a decision by itself: "Incorrect, the sum is 8."."""
    lines = [line for line in text.splitlines() if line.strip()]
    matches = [match for line in (*lines[:1], *lines[-1:]) if (match := _BARE.match(line))]
    decisions = {match["word"].lower() in _ACCEPTS for match in matches}
    if len(decisions) != 1:
        return None
    reason = next((match["rest"] for match in matches if match["rest"]), "")
    others = lines[1:] if _BARE.match(lines[0]) else lines[:-1]
    return _said(decisions.pop(), _tidy(reason or " ".join(others)))


def text_verdict(text: str) -> Verdict | None:
    """The verdict that a text states; None where it can't be read. Never fails.

    In this order: a JSON object at its end, as :func:`mapping_verdict` reads it; the last line that says
    ``VERDICT: ...`` (accept, correct, yes, true, passed, or their opposites, in any case and markup); a first or last
    line that is a decision by itself. A thought in think tags is left out; where one was never closed, nothing is read.
    """
    said = text.rpartition(_CLOSE_THOUGHT)[2]
    if _OPEN_THOUGHT in said:
        return None
    return _json_verdict(said) or _stated(said) or _bare(said)
