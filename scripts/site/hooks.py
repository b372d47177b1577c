"""What ``mkdocs build`` makes of the code: reference pages of all public modules, and the command line's own help.

MkDocs calls the functions ``on_*`` (``hooks`` in mkdocs.yml). Nothing heavy is imported: modules are read, not run, and
of the command line only its parsers.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

__all__ = ["command_help", "on_config", "on_files", "on_page_markdown", "public_modules"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("inftythink_graph", "datasets_build", "sft")
NAV_SECTION = "Reference"

_HELP = re.compile(r"^<!-- help: (?P<command>[\w. -]+) -->$", re.MULTILINE)
_OUTSIDE = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<path>(?:\.\./)+(?P<rest>[^)#]+))\)")
_WIDTH = "90"  # columns of the help texts

if str(ROOT) not in sys.path:  # a build needs no installed package
    sys.path.insert(0, str(ROOT))


def public_modules(package: str) -> Iterator[str]:
    """Dotted names of a package's modules that export something, the package itself first if it does."""
    for path in sorted(
        (ROOT / package).rglob("*.py"), key=lambda path: path.parent / path.stem.replace("__init__", "")
    ):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(name.startswith("_") for name in names) and _exports(path):
            yield ".".join(names)


def _exports(path: Path) -> list[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return []


def _summary(path: Path) -> str:
    """The first sentence of a module's docstring, for the table of modules."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    line = " ".join(text.partition("\n\n")[0].split())
    line = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", line).replace("``", "`").replace("|", "\\|")
    return line.rstrip(":")


def _file_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _page_of(module: str) -> str:
    package, _, rest = module.partition(".")
    return f"reference/{package}/{rest or 'index'}.md"


def _package_page(package: str) -> str:
    """What can be imported from a package itself, and a table of its modules."""
    lines = [f"# {package}", "", _summary(_file_of(package)), ""]
    if names := [name for name in _exports(_file_of(package)) if not name.startswith("__")]:
        links = (
            f'<autoref identifier="{_home(package, name)}" optional><code>{name}</code></autoref>' for name in names
        )
        lines += [f"`from {package} import ...` takes: {', '.join(links)}.", ""]
    lines += ["| module | |", "|---|---|"]
    for module in public_modules(package):
        if module != package:
            page = Path(_page_of(module)).name
            lines.append(f"| [`{module.partition('.')[2]}`]({page}) | {_summary(_file_of(module))} |")
    return "\n".join([*lines, ""])


def _home(module: str, name: str) -> str:
    """Where a name that a module exports is defined, as far as imports tell."""
    path = _file_of(module)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.is_file() else ():
        if isinstance(node, ast.ImportFrom) and node.module and name in {alias.name for alias in node.names}:
            return _home(node.module, name)
    return f"{module}.{name}"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the reference pages into the navigation."""
    section = next((item[NAV_SECTION] for item in config.nav or [] if NAV_SECTION in item), None)
    if section is None:
        raise PluginError(f"mkdocs.yml has no navigation entry {NAV_SECTION!r} for the reference pages")
    for package in PACKAGES:
        modules = [module for module in public_modules(package) if module != package]
        entries: list[Any] = [_page_of(package)]
        section.append({package: entries + [{m.partition(".")[2]: _page_of(m)} for m in modules]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every public module, and one for each package."""
    for package in PACKAGES:
        files.append(File.generated(config, _page_of(package), content=_package_page(package)))
        for module in public_modules(package):
            if module != package:
                files.append(File.generated(config, _page_of(module), content=f"# {module}\n\n::: {module}\n"))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in help texts; a link to a file of the repository outside of docs/ becomes its name."""

    def name(match: re.Match[str]) -> str:
        target = (Path(config.docs_dir) / Path(page.file.src_uri).parent / match["path"]).resolve()
        if not target.exists():
            raise PluginError(f"{page.file.src_uri} links to {match['path']}, which doesn't exist")
        return match["text"] if match["text"].startswith("`") else f"{match['text']} (`{match['rest']}`)"

    return _HELP.sub(lambda match: command_help(match["command"]), _OUTSIDE.sub(name, markdown))


def command_help(command: str) -> str:
    """The help of a command, as Markdown: what its parser prints, or a table of a recipe's own keys."""
    if command == "inftythink train":
        return _recipe_keys()
    parser = _parser(command)
    before, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), _WIDTH
    try:
        text = parser.format_help()
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    text = re.sub("\x1b\\[[0-9;]*m", "", text)  # colours, where a terminal is attached
    return f"```text\n{text.rstrip()}\n```"


def _parser(command: str) -> argparse.ArgumentParser:
    from datasets_build.pipeline import cli as build_data
    from inftythink_graph import cli, serve
    from inftythink_graph.evaluation import command as evaluation
    from inftythink_graph.runner import command as run

    if command == "inftythink":
        return cli.build_parser()
    program, _, name = command.partition(" ")
    if name == "serve":
        return serve.build_parser()
    if name == "build-data":
        return build_data.build_parser()
    if name == "run":
        return run.parser()
    if name in ("eval", "report"):
        return evaluation.evaluation_parser() if name == "eval" else evaluation.report_parser()
    for action in cli.build_parser()._subparsers._group_actions if program == "inftythink" else ():  # type: ignore[union-attr]
        if name in (action.choices or {}):
            return action.choices[name]  # type: ignore[index, no-any-return, call-overload]
    raise PluginError(f"no command {command!r} whose help could be shown")


def _recipe_keys() -> str:
    from sft.arguments import DataArguments, ModelArguments

    lines = ["| option | default | meaning |", "|---|---|---|"]
    for item in (*fields(DataArguments), *fields(ModelArguments)):
        text = str(item.metadata.get("help", "")).replace("|", "\\|")
        lines.append(f"| `--{item.name}` | {_default(item)} | {text} |")
    return "\n".join(lines)


def _default(item: Field[Any]) -> str:
    value = item.default if item.default is not MISSING else item.default_factory()  # type: ignore[misc]
    return "" if value in (None, "", []) else f"`{value}`"
