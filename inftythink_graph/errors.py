"""What can go wrong before a run starts. A run that has started ends with a status, not with one of these."""

from inftythink_graph.plain_text import one_line_text

__all__ = [
    "CheckpointError",
    "InftyThinkError",
    "InvalidInputError",
    "ModelNotServedError",
    "ServerUnavailableError",
    "WindowTooSmallError",
    "one_line",
]


def one_line(error: BaseException | None, most: int | None = None) -> str:
    """What an error says, in one line of at most ``most`` characters; its type's name where it says nothing.

    It may repeat what a server or a model said, so control characters are replaced.
    """
    return one_line_text(str(error))[:most] or type(error).__name__


class InftyThinkError(Exception):
    """Base of every error of this package. The message is one line: what was wrong, and what is allowed."""


class InvalidInputError(InftyThinkError, ValueError):
    """An argument or an input is outside what is allowed: an empty question, eta below 1, an unknown protocol."""


class WindowTooSmallError(InvalidInputError):
    """The model's context window can't hold question + summary + eta; raised before a token is spent.

    Attributes:
        needed: the tokens that one epoch may take.
        window: the tokens that the model's context holds.
    """

    def __init__(self, message: str, *, needed: int, window: int) -> None:
        super().__init__(message)
        self.needed = needed
        self.window = window


class CheckpointError(InvalidInputError):
    """A folder holds no model that can be loaded."""


class ServerUnavailableError(InftyThinkError, ConnectionError):
    """No server answers at the given address, or it refuses the request for reasons of its own."""


class ModelNotServedError(InvalidInputError):
    """The server doesn't serve a model of that name.

    Attributes:
        served: the names that it does serve.
    """

    def __init__(self, message: str, *, served: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.served = served
