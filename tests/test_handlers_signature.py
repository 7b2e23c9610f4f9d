"""What can be a handler, how it is called, and what is refused when it is registered."""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs
import pytest
import trio

from iii_trio.errors import ConfigurationError
from tests.conftest import MemoryLink

# ---- what works -----------------------------------------------------------------------------------------------------


async def _async(data: Any) -> Any:
    return ["async", data]


async def _async_nothing() -> Any:
    return ["nothing"]


async def _async_both(data: Any, metadata: Any) -> Any:
    return [data, metadata]


async def _async_metadata_first(metadata: Any, data: Any) -> Any:
    return [data, metadata]


async def _async_metadata_only(metadata: Any) -> Any:
    return [metadata]


async def _async_keyword_metadata(data: Any, *, metadata: Any) -> Any:
    return [data, metadata]


async def _async_positional_only(data: Any, /, metadata: Any = None) -> Any:
    return [data, metadata]


async def _async_payload_that_is_called_metadata(metadata: Any, /) -> Any:
    return [metadata]


async def _async_defaults(data: Any = "default", more: int = 7) -> Any:
    return [data, more]


async def _async_star(*args: Any) -> Any:
    return [*args]


async def _async_stars(*args: Any, **kwargs: Any) -> Any:
    return [[*args], kwargs]


async def _async_keywords(**kwargs: Any) -> Any:
    return [kwargs]


async def _async_star_metadata(data: Any, *metadata: Any) -> Any:
    return [data, [*metadata]]


async def _async_metadata_and_star(metadata: Any, *args: Any) -> Any:
    return [metadata, [*args]]


async def _async_with_extra(extra: Any, data: Any) -> Any:
    return [extra, data]


def _sync(data: Any) -> Any:
    return ["sync", data]


def _sync_nothing() -> Any:
    return ["nothing"]


def _sync_both(data: Any, metadata: Any) -> Any:
    return [data, metadata]


def _sync_metadata_first(metadata: Any, data: Any) -> Any:
    return [data, metadata]


class _Object:
    """Callable."""

    async def __call__(self, data: Any) -> Any:
        return ["object", data]

    async def method(self, data: Any, metadata: Any) -> Any:
        return ["method", data, metadata]

    def sync_method(self, data: Any) -> Any:
        return ["sync method", data]

    @classmethod
    async def class_method(cls, data: Any) -> Any:
        return ["class", data]

    @staticmethod
    async def static_method(data: Any) -> Any:
        return ["static", data]


class _SyncObject:
    """Callable in a thread."""

    def __call__(self, data: Any) -> Any:
        return ["sync object", data]


@attrs.frozen
class _Made:
    """A class is a sync handler that makes an instance."""

    data: Any


@pytest.mark.parametrize(
    ("handler", "answer"),
    [
        pytest.param(_async, ["async", 1], id="async"),
        pytest.param(_async_nothing, ["nothing"], id="no-argument"),
        pytest.param(_async_both, [1, "m"], id="metadata"),
        pytest.param(_async_metadata_first, [1, "m"], id="metadata-first"),
        pytest.param(_async_metadata_only, ["m"], id="metadata-only"),
        pytest.param(_async_keyword_metadata, [1, "m"], id="keyword-metadata"),
        pytest.param(_async_positional_only, [1, "m"], id="positional-only"),
        pytest.param(_async_payload_that_is_called_metadata, [1], id="positional-only-metadata-is-the-payload"),
        pytest.param(_async_defaults, [1, 7], id="defaults"),
        pytest.param(_async_star, [1], id="star"),
        pytest.param(_async_stars, [[1], {}], id="stars"),
        pytest.param(_async_keywords, [{}], id="keywords-take-nothing"),
        pytest.param(_async_star_metadata, [1, []], id="star-metadata-is-no-metadata"),
        pytest.param(_async_metadata_and_star, ["m", []], id="metadata-and-star"),
        pytest.param(functools.partial(_async_with_extra, "x"), ["x", 1], id="partial"),
        pytest.param(functools.partial(_async_with_extra, data="x", extra="y"), ["y", "x"], id="full-partial"),
        pytest.param(functools.partial(functools.partial(_async_with_extra), "x"), ["x", 1], id="partial-of-partial"),
        pytest.param(functools.partial(_Object()), ["object", 1], id="partial-of-object"),
        pytest.param(_Object(), ["object", 1], id="object"),
        pytest.param(_Object().method, ["method", 1, "m"], id="bound-method"),
        pytest.param(_Object.class_method, ["class", 1], id="class-method"),
        pytest.param(_Object.static_method, ["static", 1], id="static-method"),
        pytest.param(_sync, ["sync", 1], id="sync"),
        pytest.param(_sync_nothing, ["nothing"], id="sync-no-argument"),
        pytest.param(_sync_both, [1, "m"], id="sync-metadata"),
        pytest.param(_sync_metadata_first, [1, "m"], id="sync-metadata-first"),
        pytest.param(lambda data: [data], [1], id="lambda"),
        pytest.param(lambda: None, None, id="empty-lambda"),
        pytest.param(_SyncObject(), ["sync object", 1], id="sync-object"),
        pytest.param(_Object().sync_method, ["sync method", 1], id="sync-bound-method"),
        pytest.param(functools.partial(_sync), ["sync", 1], id="sync-partial"),
        pytest.param(functools.lru_cache(_sync_nothing), ["nothing"], id="cached"),
        pytest.param(str, "1", id="builtin-that-does-not-tell"),
        pytest.param(_Made, {"data": 1}, id="class"),
    ],
)
async def test_anything_that_can_be_called_with_a_payload_is_a_handler(
    link: MemoryLink, handler: Any, answer: Any
) -> None:
    """It gets the payload or nothing, and the metadata if it has a parameter of that name."""
    async with link.client() as iii:
        iii.register_function("f", handler)
        assert await iii.trigger("f", 1, metadata="m") == answer


async def test_async_handlers_run_in_trios_thread_and_sync_ones_do_not(link: MemoryLink) -> None:
    """A sync handler that blocks holds nobody up."""

    async def on_trio() -> bool:
        return threading.current_thread() is threading.main_thread()

    def off_trio() -> bool:
        return threading.current_thread() is threading.main_thread()

    with trio.fail_after(10):
        async with link.client() as iii:
            iii.register_function("on", on_trio)
            iii.register_function("off", off_trio)
            assert await iii.trigger("on") is True
            assert await iii.trigger("off") is False


# ---- what does not --------------------------------------------------------------------------------------------------


async def _async_generator(data: Any) -> AsyncIterator[Any]:
    yield data


def _generator(data: Any) -> Iterator[Any]:
    yield data


class _GeneratorObject:
    """Callable, and a generator."""

    def __call__(self, data: Any) -> Iterator[Any]:
        yield data


async def _two(data: Any, other: Any) -> None: ...


async def _keyword(data: Any, *, other: Any) -> None: ...


async def _three(data: Any, other: Any, metadata: Any, another: Any) -> None: ...


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        pytest.param(_async_generator, ["one result"], id="async-generator"),
        pytest.param(_generator, ["one result"], id="generator"),
        pytest.param(functools.partial(_async_generator), ["one result"], id="partial-of-async-generator"),
        pytest.param(_GeneratorObject(), ["one result"], id="generator-object"),
        pytest.param(None, ["callable", "NoneType"], id="none"),
        pytest.param("text", ["callable", "str"], id="text"),
        pytest.param(_two, ["other"], id="surplus"),
        pytest.param(_keyword, ["other"], id="surplus-keyword"),
        pytest.param(_three, ["other", "another"], id="two-surplus"),
        pytest.param(functools.partial(_keyword, 1), ["other"], id="surplus-of-a-partial"),
        pytest.param(_Object.method, ["data"], id="unbound-method"),
    ],
)
async def test_what_cannot_serve_is_refused_when_it_is_registered(
    link: MemoryLink, handler: Any, words: list[str]
) -> None:
    """ConfigurationError, naming the function and what is wrong with its handler; nothing is registered."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError) as caught:
            iii.register_function("users::get", handler)
        assert "'users::get'" in str(caught.value)
        assert all(word in str(caught.value) for word in words)
        with pytest.raises(ConfigurationError):
            iii.function("users::get")(handler)
        assert iii.statistics().functions == 0
