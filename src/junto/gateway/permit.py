"""One request that was let in by the limits: what its answer tells of them, and what is given back at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from junto.gateway.holdings import WINDOW

if TYPE_CHECKING:
    from junto.gateway.holdings import Account, Window

# After an admission it is a full minute until the limit is whole again.
_LINES: Final = (
    b"x-ratelimit-limit-%b: %%d\r\nx-ratelimit-remaining-%b: %%d\r\nx-ratelimit-reset-%b: " + b"%ds\r\n" % WINDOW
)
_REQUESTS: Final = _LINES % ((b"requests",) * 3)
_TOKENS: Final = _LINES % ((b"tokens",) * 3)


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
        lines = (line.split(b": ", 1) for line in self.lines().splitlines())
        return tuple((name, value) for name, value in lines)

    def lines(self) -> bytes:
        """The same as lines of a message's head."""
        account = self._account
        made = b""
        if account.requests:
            made = _REQUESTS % _stand(account.requests)
        if account.tokens:
            made += _TOKENS % _stand(account.tokens)
        return made

    def expect(self, tokens: int) -> None:
        """Count so many tokens instead of the first estimate: those of all the parts that the answer will be made of."""
        account = self._account
        if not self._settled and account.tokens and tokens > self._tokens:
            self._issuer.correct(account, self._stamps, tokens - self._tokens)
            self._tokens = tokens

    def settle(self, tokens: int) -> None:
        """Correct the estimate to what was used and give the seat back; never waits, and does nothing the second time."""
        if not self._settled:
            self._settled = True
            account = self._account
            if account.seats:
                self._issuer.release(account)
            if account.tokens and tokens != self._tokens:
                self._issuer.correct(account, self._stamps, tokens - self._tokens)


def _stand(windows: tuple[Window, ...]) -> tuple[int, int]:
    """The limit and what is left of it, of the tightest."""
    tightest = windows[0] if len(windows) == 1 else min(windows, key=_at_hand)
    left = tightest.remaining + tightest.left
    return tightest.limit, max(0, left)


def _at_hand(window: Window) -> int:
    return window.remaining + window.left
