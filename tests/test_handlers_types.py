"""Handlers with annotations: what they get, what their callers are told, and what the engine lists."""

from __future__ import annotations

import datetime
import enum
import functools
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Never, NoReturn

import attrs
import pytest
import trio
import trio.testing

from iii_trio._types.table import typed
from iii_trio.errors import ConfigurationError, Fate, InvocationError
from iii_trio.protocol import RegisterFunctionFormat
from iii_trio.testing.frames import RegisterFunction
from tests.conftest import MemoryLink, frames

if TYPE_CHECKING:
    from fractions import Fraction


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@attrs.frozen
class Item:
    id: int
    size: Size = Size.SMALL


@attrs.frozen
class Order:
    """What the handlers here take and return."""

    items: list[Item]
    key: uuid.UUID
    at: datetime.datetime
    tags: frozenset[str] = frozenset()


ORDER = Order(
    [Item(1), Item(2, Size.LARGE)],
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
    frozenset({"new"}),
)
TREE = {
    "items": [{"id": 1, "size": "small"}, {"id": 2, "size": "large"}],
    "key": "12345678-1234-5678-1234-567812345678",
    "at": "2024-01-02T00:00:00+00:00",
    "tags": ["new"],
}


async def _async(order: Order) -> Order:
    assert type(order) is Order
    return order


def _sync(order: Order) -> Order:
    assert type(order) is Order
    return order


async def _metadata_first(metadata: Any, order: Order) -> Order:
    assert metadata == {"m": 1}
    return await _async(order)


async def _star(*orders: Order) -> Order:
    return await _async(*orders)


async def _with_extra(extra: int, order: Order) -> Order:
    return await _async(order)


async def _typed_metadata(order: Order, metadata: dict[str, str]) -> Order:
    assert metadata["m"] == 1  # type: ignore[comparison-overlap]  # it is nobody's payload, and passed on as it is
    return order


@functools.wraps(_async)
async def _decorated(*args: Any) -> Any:
    return await _async(*args)


class _Object:
    async def __call__(self, order: Order) -> Order:
        return await _async(order)

    async def method(self, order: Order) -> Order:
        return await _async(order)


HANDLERS = [
    pytest.param(_async, id="async"),
    pytest.param(_sync, id="sync"),
    pytest.param(_metadata_first, id="metadata-first"),
    pytest.param(_star, id="star"),
    pytest.param(_typed_metadata, id="typed-metadata"),
    pytest.param(functools.partial(_with_extra, 1), id="partial"),
    pytest.param(functools.partial(_decorated), id="partial-of-decorated"),
    pytest.param(functools.singledispatch(_sync), id="callable-of-another-module"),
    pytest.param(_Object(), id="object"),
    pytest.param(_Object().method, id="method"),
]


@pytest.mark.parametrize("handler", HANDLERS)
async def test_a_handler_gets_what_its_annotation_says(link: MemoryLink, handler: Any) -> None:
    """And an instance can be sent, returned, and asked for."""
    async with link.client() as iii:
        await iii.register_function("f", handler).wait_registered()
        assert await iii.trigger("f", ORDER, metadata={"m": 1}) == TREE
        assert await iii.trigger("f", TREE, metadata={"m": 1}, returns=Order) == ORDER


@pytest.mark.parametrize("handler", HANDLERS)
async def test_the_engine_lists_the_schemas_of_the_annotations(link: MemoryLink, handler: Any) -> None:
    """Of the payload and of the result, and of nothing else."""
    async with link.client() as iii:
        await iii.register_function("f", handler).wait_registered()
        (frame,) = frames(link.engine, RegisterFunction, id="f")
        listed = await iii.trigger("engine::functions::info", {"function_id": "f"})
    assert frame.request_format == frame.response_format == typed(Order).schema
    assert listed["request_schema"] == listed["response_schema"] == typed(Order).schema


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param(None, "expected dict, got NoneType @ $", id="null"),
        pytest.param({**TREE, "items": [{"id": 1}, {"id": "2"}]}, "got str @ $.items[1].id", id="path"),
        pytest.param({**TREE, "key": "no"}, "expected a UUID, got 'no' @ $.key", id="uuid"),
        pytest.param({**TREE, "tags": ["a", "a"]}, "each item once, got 1 again @ $.tags", id="set"),
        pytest.param({}, "required field missing @ $.items", id="missing"),
        pytest.param({**TREE, "at": "2024-01-02T00:00:00"}, "with its offset", id="naive"),
    ],
)
@pytest.mark.parametrize("handler", [_async, _sync], ids=["async", "sync"])
async def test_a_payload_that_does_not_fit_is_invalid_input(
    link: MemoryLink, handler: Any, payload: Any, words: str
) -> None:
    """The handler has not run, and the caller learns where the fault is."""
    ran = []

    @functools.wraps(handler)
    async def watched(order: Order) -> Order:
        ran.append(order)
        return order

    async with link.client() as iii:
        await iii.register_function("f", watched).wait_registered()
        with pytest.raises(InvocationError) as caught:
            await iii.trigger("f", payload)
    assert (caught.value.code, caught.value.fate) == ("invalid_input", Fate.NOT_RUN)
    assert words in caught.value.message
    assert not ran


async def test_a_void_call_that_does_not_fit_is_counted_and_logged(
    link: MemoryLink, caplog: pytest.LogCaptureFixture
) -> None:
    """At the worker, since its caller hears nothing."""
    async with link.client() as iii:
        await iii.register_function("f", _async).wait_registered()
        iii.trigger_nowait("f", {**TREE, "key": 7})
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().invalid_inputs == 1
    assert "the payload of an invocation of 'f' does not fit: expected str, got int @ $.key" in caplog.text


async def test_who_called_is_no_part_of_a_typed_payload(link: MemoryLink) -> None:
    """The engine puts it into every object."""

    async def count(numbers: dict[str, int]) -> int:
        return sum(numbers.values())

    async with link.client() as iii:
        await iii.register_function("count", count).wait_registered()
        assert await iii.trigger("count", {"a": 1, "b": 2}) == 3


def _nothing_said(data, metadata):  # type: ignore[no-untyped-def]
    return data


async def _any(data: Any) -> Any:
    return data


async def _annotated_any(data: Annotated[Any, "words"]) -> NoReturn:
    raise ValueError


async def _no_payload(metadata: dict[str, int]) -> Never:
    raise ValueError


@pytest.mark.parametrize("handler", [_nothing_said, _any, _annotated_any, _no_payload, lambda data: data])
async def test_where_annotations_say_nothing_there_is_no_schema(link: MemoryLink, handler: Callable[..., Any]) -> None:
    """Neither of the payload nor of the result."""
    async with link.client() as iii:
        await iii.register_function("f", handler).wait_registered()
        (frame,) = frames(link.engine, RegisterFunction, id="f")
    assert (frame.request_format, frame.response_format) == (None, None)


async def test_a_class_as_a_handler_returns_its_instances(link: MemoryLink) -> None:
    """It is a sync handler, and its ``__init__`` has the annotation of the payload."""

    @attrs.frozen
    class Box:
        value: int

    async with link.client() as iii:
        await iii.register_function("box", Box).wait_registered()
        (frame,) = frames(link.engine, RegisterFunction, id="box")
        assert await iii.trigger("box", 7) == {"value": 7}
    assert frame.request_format == typed(int).schema
    assert frame.response_format == typed(Box).schema


async def test_formats_that_are_given_stand_as_they_are(link: MemoryLink) -> None:
    """An empty one too; then the annotation of the result does not matter, and that of the payload is still held to."""

    async def make(number: int) -> Fraction:
        raise AssertionError

    async with link.client() as iii:
        mine = {"type": "integer", "minimum": 1}
        await iii.register_function("f", make, request_format=mine, response_format={}).wait_registered()
        (frame,) = frames(link.engine, RegisterFunction, id="f")
        assert (frame.request_format, frame.response_format) == (mine, {})
        with pytest.raises(InvocationError, match="expected int, got str"):
            await iii.trigger("f", "7")


async def test_a_tree_of_formats_takes_the_place_of_a_schema(link: MemoryLink) -> None:
    """As the references have it; what the annotation says is still held to."""
    tree = RegisterFunctionFormat(name="number", type="number", required=True)

    async def double(number: int) -> int:
        return 2 * number

    async with link.client() as iii:
        await iii.register_function("double", double, request_format=tree).wait_registered()
        (frame,) = frames(link.engine, RegisterFunction, id="double")
        assert frame.request_format == {"name": "number", "type": "number", "required": True}
        assert frame.response_format == typed(int).schema
        with pytest.raises(InvocationError, match="expected int, got str"):
            await iii.trigger("double", "7")


async def _takes_bytes(data: bytes) -> None: ...
async def _takes_lost(data: Fraction) -> None: ...
async def _returns_bytes(data: int) -> list[bytes]:
    return []


async def _returns_lost(data: int) -> Fraction:
    raise ValueError


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        pytest.param(_takes_bytes, "takes data: bytes, and bytes is no type", id="payload"),
        pytest.param(
            _takes_lost, "takes data: Fraction, and name 'Fraction' is not defined", id="unresolvable-payload"
        ),
        pytest.param(_returns_bytes, "returns list[bytes], and bytes is no type", id="result"),
        pytest.param(_returns_lost, "returns Fraction, and name 'Fraction' is not defined", id="unresolvable-result"),
    ],
)
async def test_an_annotation_that_no_json_can_be_is_refused(link: MemoryLink, handler: Any, words: str) -> None:
    """When the function is registered, naming the parameter and the type; nothing is registered."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError) as caught:
            iii.register_function("users::get", handler)
        assert f"the handler of 'users::get' {words}" in str(caught.value)
        with pytest.raises(ConfigurationError):
            iii.function("users::get")(handler)
        assert iii.statistics().functions == 0
