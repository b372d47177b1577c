"""An error out of nowhere, or a kill, in the middle of a run."""

from __future__ import annotations

import os
import signal
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler

__all__ = ["BreaksOff", "Dies", "PowerCutError"]


class PowerCutError(Exception):
    """What breaks a run off."""


class BreaksOff(BaseCallbackHandler):
    """A callback that lets so many model calls pass, and no more."""

    raise_error = True

    def __init__(self, calls: int) -> None:
        self.left = calls

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise PowerCutError


class Dies(BreaksOff):
    """A callback that lets so many model calls pass and has the process killed in the next."""

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
