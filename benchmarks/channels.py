"""Channels of the client and of the official SDK in one run: CPU of both sides, frames or MiB a second, and the ratios.

Every contender is a process that creates a channel and writes, and one that is called with the ref and reads to the end.
On the embedded engine, which is itself the bottleneck, the rate says nothing about the contenders.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.cases import STREAMS, Stream
from benchmarks.process import Process
from benchmarks.report import report_of
from benchmarks.turns import Contender, Contenders, chosen, engine, parser_of, take_turns, tell

CONTENDERS: Final[Contenders] = {
    "ours-websockets": Contender("benchmarks.channel_client", "websockets", "reader"),
    "ours-trio-websocket": Contender("benchmarks.channel_client", "trio-websocket", "reader"),
    "official-loop": Contender("benchmarks.official_channel", "loop", "reader"),
    "official-handler": Contender("benchmarks.official_channel", "handler", "reader"),
}
"""In the order of their turns."""


def measure(contender: Contender, url: str, stream: Stream) -> dict[str, float]:
    """One round of one contender.

    Raises:
        CannotRun: Something that it needs is missing.
    """
    python = contender.interpreter()
    arguments = (contender.variant, url, f"bench::{uuid.uuid4().hex}", stream.dump())
    with Process(contender.module, contender.worker, *arguments, python=python) as reader:
        reader.next()
        with Process(contender.module, "writer", *arguments, python=python) as writer:
            writer.next()
            before = reader.step()
            result = writer.step()
            after = reader.step()
    amount = stream.amount(stream.frames)
    return {
        "writer_us": result["cpu"] / amount * 1e6,
        "reader_us": (after["cpu"] - before["cpu"]) / amount * 1e6,
        "per_second": stream.amount(result["frames"]) / result["seconds"],
        "lost": stream.frames - result["frames"],
    }


def compare(rounds: int, frames: int | None, cases: Sequence[str], contenders: Contenders) -> dict[str, Any]:
    """All rounds of all cases, in turns, and what comes out of them."""
    skipped: dict[str, str] = {}
    reports: dict[str, Any] = {}
    with engine() as (name, url):
        for case in cases:
            stream = STREAMS[case] if frames is None else dataclasses.replace(STREAMS[case], frames=frames)

            def one_turn(contender: Contender, stream: Stream = stream) -> dict[str, float]:
                return measure(contender, url, stream)

            seen = take_turns(rounds, contenders, skipped, "per_second", one_turn)
            reports[case] = {"load": dataclasses.asdict(stream), "words": stream.words(), **report_of(seen)}
    return {"engine": name, "rounds": rounds, "skipped": skipped, "cases": reports}


def main() -> None:
    parser = parser_of(__doc__.splitlines()[0], [*STREAMS], CONTENDERS)
    parser.add_argument("--frames", type=int, help="in place of each case's own number")
    asked = parser.parse_args()
    tell(compare(asked.rounds, asked.frames, asked.case, chosen(CONTENDERS, asked.only)), as_json=asked.json)


if __name__ == "__main__":
    main()
