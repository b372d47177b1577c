"""A real browser for pages that are served on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

__all__ = ["Visitor", "browser", "opened"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
# No sandbox: CI is root. The resolver rule: whatever a page asks for elsewhere by name, it doesn't leave the machine.
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
PATIENCE = 1000.0 * float(os.environ.get("BROWSER_PATIENCE", "180"))  # milliseconds


@contextmanager
def browser() -> Iterator[Browser]:
    """The installed Chromium, with a new empty profile. Skips the test where there is none, which in CI fails it."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no browser: install one (Debian and Ubuntu: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        try:
            yield chromium
        finally:
            chromium.close()


class Visitor:
    """Somebody with a browser session of their own, who notes what the page asks for and complains about.

    Attributes:
        page: the page.
        requests: all addresses that it asked for, but for data and blobs.
        complaints: errors of scripts and of the console.
    """

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.address = address
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.goto(address)

    @property
    def elsewhere(self) -> list[str]:
        """What was asked of anyone but the page's own server."""
        own = urlsplit(self.address).netloc
        return [url for url in self.requests if not url.startswith(("data:", "blob:")) and urlsplit(url).netloc != own]


@contextmanager
def opened(chromium: Browser, address: str, **options: Any) -> Iterator[Visitor]:
    """A page in a browser session of its own, with the context's options, for example ``color_scheme``."""
    context = chromium.new_context(**{"viewport": {"width": 1100, "height": 800}, **options})
    try:
        yield Visitor(context, address)
    finally:
        context.close()
