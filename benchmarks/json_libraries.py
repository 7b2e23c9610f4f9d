"""orjson beside msgspec: what a frame costs each of them, and what each refuses (docs/decisions.md, "The JSON library").

A library that refuses what the engine cannot decode saves the client from walking every payload itself.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import orjson

ENCODERS: Final[Mapping[str, Callable[[Any], bytes]]] = {"orjson": orjson.dumps, "msgspec": msgspec.json.encode}
DECODERS: Final[Mapping[str, Callable[[bytes], Any]]] = {"orjson": orjson.loads, "msgspec": msgspec.json.decode}

SIZES: Final = (200, 16 * 1024)
"""Bytes of the payload in a frame."""

UNDECODABLE: Final[Mapping[str, Any]] = {
    "integer over 64 bits": 2**64,
    "lone surrogate": "\ud800",
    "key that is no text": {7: 1},
    "NaN": math.nan,
    "infinity": math.inf,
    "200 levels deep": json.loads("[" * 200 + "]" * 200),
}
"""What an engine cannot decode, by what it is."""


def frame_of(data: Any) -> dict[str, Any]:
    """A call with a payload."""
    return {
        "type": "invokefunction",
        "invocation_id": "5a86b2a5-4b6c-4d3a-8b7d-6f2a3c1d0e9f",
        "function_id": "orders::create",
        "data": data,
    }


def text_of(size: int) -> Any:
    """A payload that is one text."""
    return {"text": "x" * size}


def records_of(size: int) -> Any:
    """A payload of about `size` bytes that is made of short texts and numbers."""
    return [{"id": number, "name": f"item {number}", "price": number * 1.5} for number in range(size // 45)]


SHAPES: Final[Mapping[str, Callable[[int], Any]]] = {"text": text_of, "records": records_of}


def microseconds(function: Callable[[Any], Any], argument: Any, rounds: int, repeat: int) -> float:
    """The best of the rounds, for one call."""
    best = math.inf
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(repeat):
            function(argument)
        best = min(best, time.perf_counter() - began)
    return best / repeat * 1e6


def refuses(encode: Callable[[Any], bytes], value: Any) -> bool:
    """Whether the library raises, rather than writing something that the value is not."""
    try:
        encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return True
    return False


def measure(rounds: int, repeat: int) -> dict[str, Any]:
    """Everything."""
    costs = []
    for size, shape in itertools.product(SIZES, SHAPES):
        tree = frame_of(SHAPES[shape](size))
        text = orjson.dumps(tree)
        for name in ENCODERS:
            cost = {
                "encode_us": microseconds(ENCODERS[name], tree, rounds, repeat),
                "decode_us": microseconds(DECODERS[name], text, rounds, repeat),
            }
            costs.append({"library": name, "shape": shape, "bytes": len(text), **cost})
    verdicts = {
        fault: {name: refuses(encode, value) for name, encode in ENCODERS.items()}
        for fault, value in UNDECODABLE.items()
    }
    return {"costs": costs, "refuses": verdicts}


def show(result: dict[str, Any]) -> None:
    """The result as two tables."""
    print(f"{'payload':>10}{'bytes':>8}{'library':>10}{'encode µs':>12}{'decode µs':>12}")
    for cost in result["costs"]:
        print(f"{cost['shape']:>10}{cost['bytes']:8}{cost['library']:>10}", end="")
        print(f"{cost['encode_us']:12.2f}{cost['decode_us']:12.2f}")
    print()
    print(f"{'refuses':24}" + "".join(f"{name:>10}" for name in ENCODERS))
    for fault, verdicts in result["refuses"].items():
        print(f"{fault:24}" + "".join(f"{'yes' if verdicts[name] else 'no':>10}" for name in ENCODERS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeat", type=int, default=5_000)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
    asked = parser.parse_args()
    result = measure(asked.rounds, asked.repeat)
    if asked.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


if __name__ == "__main__":
    main()
