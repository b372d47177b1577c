"""Who can reach what listens here: a server on another address than this machine's own is open to a network."""

from __future__ import annotations

import ipaddress

__all__ = ["exposure_warning", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable from this machine only; "" is all addresses."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # another name: wherever that leads
        return False


def exposure_warning(host: str, *, has_key: bool, what: str, remedy: str) -> str | None:
    """One line for whoever opens something to a network without a key; None where there is nothing to warn of.

    Args:
        host: the address to listen on.
        has_key: whether callers must show a key.
        what: what listens, such as "the model".
        remedy: what to do about it.
    """
    if has_key or is_loopback(host):
        return None
    return (
        f"warning: {what} listens on {host or 'all addresses'} without a key: whoever reaches it may use it. {remedy}"
    )
