"""Keeping credentials out of whatever is shown, logged, traced or kept: addresses, headers, messages of errors."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

__all__ = ["MASK", "Address", "is_secret_name", "masked", "redacted", "scrub", "shown_url", "split_address"]

MASK = "***"
"""What stands where a credential stood."""

# At the end of a name: api_key, X-Auth-Token, sessionCookie; not max_tokens, not stop_token_ids.
_SECRET_NAME = re.compile(
    r"(key|token|secret|password|passwd|pwd|cookie|credentials?|signature|auth|authorization)$", re.IGNORECASE
)
_SHORTEST = 4  # characters of a secret; shorter ones would be found everywhere ("EMPTY" is none either)


def shown_url(url: object) -> str:
    """An address as it may appear in a message: without user, password, query and fragment."""
    # Up to the last @ whatever stands there: a password may hold any character.
    return re.sub(r"[?#].*", f"?{MASK}", re.sub(r"^(\w[\w+.-]*://)?\S*@", r"\1", str(url)))


def is_secret_name(name: str) -> bool:
    """Whether a header or a parameter of that name may hold a credential."""
    return bool(_SECRET_NAME.search(name))


def masked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same mapping with :data:`MASK` for what may be a credential, by its name, in mappings within it as well."""
    return {
        name: MASK if is_secret_name(name) else masked(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
    }


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Text with :data:`MASK` for each secret in it; the longest first, as one may be part of another."""
    for secret in sorted((each for each in secrets if len(each) >= _SHORTEST and each != "EMPTY"), key=len)[::-1]:
        text = text.replace(secret, MASK)
    return text


def scrub(error: BaseException, secrets: Iterable[str]) -> None:
    """Take secrets out of what an error says, in place: tracebacks and logs show causes as well.

    Servers like to repeat the key that they refuse.
    """
    known = tuple(secrets)

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return redacted(value, known)
        if isinstance(value, Mapping):
            return {name: clean(each) for name, each in value.items()}
        return [clean(each) for each in value] if isinstance(value, list) else value

    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        step.args = tuple(clean(each) for each in step.args)
        for name in ("message", "body"):  # of the openai client's errors
            if hasattr(step, name):
                setattr(step, name, clean(getattr(step, name)))
        step = step.__cause__ or step.__context__


@dataclass(frozen=True, slots=True)
class Address:
    """An address taken apart.

    Attributes:
        url: without credentials and query.
        user: "user:password" where it had any.
        query: the parameters of its query.
    """

    url: str
    user: str | None = field(default=None, repr=False)
    query: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def login(self) -> str | None:
        """The user as the value of an ``Authorization`` header; None where there was none."""
        return None if self.user is None else f"Basic {base64.b64encode(self.user.encode()).decode('ascii')}"


def split_address(url: str) -> Address:
    """Take an address apart; one that can't be is left whole."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no address at all: whoever connects says so
        return Address(url)
    if not parts.netloc:
        return Address(url)
    before, _, host = parts.netloc.rpartition("@")
    bare = urlunsplit(parts._replace(netloc=host, query="", fragment=""))
    return Address(bare, unquote(before) or None, dict(parse_qsl(parts.query, keep_blank_values=True)))
