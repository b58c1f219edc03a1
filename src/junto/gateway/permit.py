"""One request that was let in by the limits: what its answer tells of them, and what is given back at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from junto.gateway.holdings import WINDOW

if TYPE_CHECKING:
    from junto.gateway.holdings import Account, Window

_RESET: Final = b"%ds" % WINDOW  # after an admission it is a full minute until the limit is whole again


class Issuer(Protocol):
    """Who issues permits."""

    def release(self, account: Account) -> None:
        """Take the seats of a request back."""

    def correct(self, account: Account, stamps: tuple[int, ...], more: int) -> None:
        """Charge `more` tokens, or give them back where it is below 0."""


class Permit:
    """One request that was let in. `settle` it on every way out."""

    __slots__ = ("_account", "_issuer", "_settled", "_stamps", "_tokens")

    def __init__(self, issuer: Issuer, account: Account, tokens: int, stamps: tuple[int, ...]) -> None:
        self._issuer = issuer
        self._account = account
        self._tokens = tokens
        self._stamps = stamps
        self._settled = False

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What the answer tells of the tightest limits per minute: the limit, what is left, when it is whole again."""
        account = self._account
        made: tuple[tuple[bytes, bytes], ...] = ()
        if account.requests:
            made = _headers(b"requests", account.requests)
        if account.tokens:
            made += _headers(b"tokens", account.tokens)
        return made

    def settle(self, tokens: int) -> None:
        """Correct the estimate to what was used and give the seat back; never waits, and does nothing the second time."""
        if not self._settled:
            self._settled = True
            account = self._account
            if account.seats:
                self._issuer.release(account)
            if account.tokens and tokens != self._tokens:
                self._issuer.correct(account, self._stamps, tokens - self._tokens)


def _headers(kind: bytes, windows: tuple[Window, ...]) -> tuple[tuple[bytes, bytes], ...]:
    tightest = windows[0] if len(windows) == 1 else min(windows, key=_at_hand)
    return (
        (b"x-ratelimit-limit-" + kind, b"%d" % tightest.limit),
        (b"x-ratelimit-remaining-" + kind, b"%d" % max(0, _at_hand(tightest))),
        (b"x-ratelimit-reset-" + kind, _RESET),
    )


def _at_hand(window: Window) -> int:
    return window.remaining + window.left
