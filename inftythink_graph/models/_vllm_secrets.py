"""``ChatVLLM``'s address and credentials: taken as they are given, and shown nowhere.

LangChain writes a model's fields into traces, and Python programs print them. What may be a key is masked or left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from langchain_openai import ChatOpenAI
from pydantic import ConfigDict, Field, SecretStr, model_validator

from inftythink_graph.redaction import is_secret_name, masked, shown_url, split_address

__all__ = ["DEFAULT_BASE_URL", "KeepsSecrets"]

DEFAULT_BASE_URL = "http://127.0.0.1:8000/v1"
"""Where ``inftythink serve`` and ``vllm serve`` listen unless told otherwise."""

_URLS = ("openai_api_base", "openai_proxy")
_TABLES = ("default_headers", "default_query", "model_kwargs", "extra_body")
_AT_CALL_TIME = ("extra_headers", "extra_query", "extra_body")


def _key_from_env() -> SecretStr:
    # The server's own variable first. Servers without a key take any, but the openai client insists on one.
    return SecretStr(os.environ.get("VLLM_API_KEY") or os.environ.get("OPENAI_API_KEY") or "EMPTY")


def _without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_secrets(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if not is_secret_name(name)
    }


class KeepsSecrets(ChatOpenAI):
    """A ``ChatOpenAI`` whose credentials appear in no representation, trace or error."""

    # Or a mistyped option's error would print all options, the key among them.
    model_config = ConfigDict(hide_input_in_errors=True)

    openai_api_base: str | None = Field(default=DEFAULT_BASE_URL, alias="base_url")
    openai_api_key: SecretStr | Callable[[], Any] | None = Field(alias="api_key", default_factory=_key_from_env)

    @model_validator(mode="before")
    @classmethod
    def _take_address_apart(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Credentials of an address become headers and parameters: the address alone is what clients log."""
        # A model that was saved is loaded without its key: then as if none had been given.
        values = {
            name: value
            for name, value in values.items()
            if value is not None or name not in ("api_key", "openai_api_key")
        }
        name = "base_url" if "base_url" in values else "openai_api_base"
        if not isinstance(values.get(name), str):
            return values
        address = split_address(values[name])
        values[name] = address.url
        if address.login is not None:
            values["default_headers"] = {"Authorization": address.login, **(values.get("default_headers") or {})}
        if address.query:
            values["default_query"] = {**address.query, **(values.get("default_query") or {})}
        return values

    def _secrets(self) -> Iterable[str]:
        """All that must not be repeated: the key, and what headers and parameters hold under telling names."""
        if isinstance(self.openai_api_key, SecretStr):
            yield self.openai_api_key.get_secret_value()
        for table in (self.default_headers, self.default_query):
            for name, value in (table or {}).items():
                if is_secret_name(name) and isinstance(value, str):
                    yield value
                    yield value.partition(" ")[2]  # "Bearer KEY"

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            if name in _URLS and value is not None:
                yield name, shown_url(value)
            else:
                yield name, masked(value) if name in _TABLES and isinstance(value, Mapping) else value

    def to_json(self) -> Any:
        """As LangChain saves and traces the model: without what may be a credential."""
        saved: dict[str, Any] = dict(super().to_json())
        known = dict(saved.get("kwargs") or {})
        for name in _TABLES:
            if isinstance(known.get(name), Mapping):
                known[name] = _without_secrets(known[name])
        if known.get("openai_proxy"):
            known["openai_proxy"] = shown_url(known["openai_proxy"])
        return {**saved, "kwargs": known} if "kwargs" in saved else saved

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        shown = dict(super()._get_invocation_params(stop=stop, **kwargs))
        for name in _AT_CALL_TIME:
            if isinstance(shown.get(name), Mapping):
                shown[name] = masked(shown[name])
        return shown
