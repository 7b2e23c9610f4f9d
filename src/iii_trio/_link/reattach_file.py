"""The file that outlives the process: what its successor needs to retire the connections that a crash left behind.

An engine that heard nothing of the crash holds the worker's name and functions for a connection that is no more, and takes
the token of that connection's greeting as the right to end it (docs/engine.md, "Restarts").
"""

from __future__ import annotations

import json
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import trio

from iii_trio._link.bell import Bell
from iii_trio._session.session import Session

logger = logging.getLogger("iii_trio")

T = TypeVar("T")

_FORMAT: Final = "iii-trio reattach 1"
_MAX_BYTES: Final = 64 * 1024
_MAX_TEXT: Final = 1_000


class ReattachFile:
    """Ids and tokens of one client's newest connections, in a file that its owner alone can read.

    Nothing that happens to the file is an error of the client: it is logged. What somebody else wrote is left alone. The
    disk is waited for in a thread.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._bell = Bell()
        self._thread = trio.CapacityLimiter(1)
        self._is_ours = True

    async def load(self, session: Session) -> None:
        """Have the session retire what the file names, and from here on tell of its own connections."""
        session.ghosts.on_change = self._bell.ring
        session.ghosts.adopt(await self._in_thread(self._read) or {})

    async def keep(self, session: Session) -> None:
        """Write down what is new, whenever there is something."""
        while True:
            await self._bell.wait()
            await self.save(session)

    async def save(self, session: Session) -> None:
        """Write down which connections the engine may hold; without any, the file is removed."""
        ghosts = dict(session.ghosts)
        if self._is_ours:
            await self._in_thread(lambda: self._write(ghosts) if ghosts else self._path.unlink(missing_ok=True))

    async def _in_thread(self, function: Callable[[], T]) -> T | None:
        try:
            return await trio.to_thread.run_sync(function, limiter=self._thread)
        except OSError as error:
            logger.warning("the reattach file %s cannot be used: %s", self._path, error.strerror or error)
            return None

    def _read(self) -> dict[str, str]:
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):
                return self._refuse("is no file")
            with self._path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            logger.info("there is no reattach file %s yet", self._path)
            return {}
        except OSError as error:
            return self._refuse(f"cannot be read ({error.strerror})")
        if len(content) > _MAX_BYTES:
            return self._refuse("holds something else")
        if not content.strip():
            logger.info("the reattach file %s is empty", self._path)
            return {}
        ghosts = _parse(content)
        return self._refuse("holds something else") if ghosts is None else ghosts

    def _refuse(self, fault: str) -> dict[str, str]:
        self._is_ours = False
        logger.warning("the reattach file %s %s: it is ignored, and left as it is", self._path, fault)
        return {}

    def _write(self, ghosts: Mapping[str, str]) -> None:
        connections = [{"worker_id": name, "reattach_token": token} for name, token in ghosts.items()]
        # The temporary file is readable for its owner alone, and so is what it becomes.
        number, temporary = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump({"format": _FORMAT, "connections": connections}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


def _parse(content: bytes) -> dict[str, str] | None:
    """The ids and tokens, oldest first; None when this is not what a client wrote."""
    try:
        document: Any = json.loads(content)
        if document["format"] != _FORMAT:
            return None
        ghosts = {each["worker_id"]: each["reattach_token"] for each in document["connections"]}
        return ghosts if all(map(_can_be_sent, (*ghosts, *ghosts.values()))) else None
    except (ValueError, TypeError, LookupError, RecursionError):
        return None


def _can_be_sent(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _MAX_TEXT and text.isascii()
