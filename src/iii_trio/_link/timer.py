"""The one timer that ends calls at their deadlines, so that a call needs none of its own."""

from __future__ import annotations

from typing import NoReturn

import trio

from iii_trio._link.bell import Bell
from iii_trio._session.session import Session


async def run_timer(session: Session, bell: Bell) -> NoReturn:
    """Expire calls as their deadlines come; `bell` is rung when one has an earlier deadline than all before."""
    while True:
        with trio.CancelScope(deadline=session.calls.next_deadline()):
            await bell.wait()
        session.expire(trio.current_time())
