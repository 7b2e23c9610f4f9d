"""The one timer of a client: calls end at their deadlines without one of their own."""

from __future__ import annotations

from typing import NoReturn

import trio

from iii_trio._link.bell import Bell
from iii_trio._session.session import Session


async def run_timer(session: Session, bell: Bell) -> NoReturn:
    """Do what the session has due, when it is due; `bell` is rung when that is earlier than before."""
    while True:
        with trio.CancelScope(deadline=session.arm()):
            await bell.wait()
        session.expire(trio.current_time())
