"""The trigger type `http`: which binding serves a request (docs/engine.md, "HTTP")."""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

import attrs

from iii_trio._embedded.http_paths import Pattern, compile_path
from iii_trio._embedded.parts import Part
from iii_trio._embedded.triggers import Binding, BindingRefused, TriggerType

WORKER: Final = "iii-http"
HTTP: Final = "http"

METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
"""A binding to another one is accepted, and never reached."""


@attrs.frozen(eq=False, kw_only=True)
class Route:
    """One method of one path, and the binding behind it."""

    binding: Binding
    method: str
    path: str
    """As it was registered."""
    pattern: Pattern

    @property
    def key(self) -> tuple[str, str]:
        """What a later binding replaces."""
        return self.method, "/" if self.path == "/" else self.path.lstrip("/")

    @property
    def middleware(self) -> list[str]:
        """Functions that are asked in turn before the handler."""
        ids = self.binding.config.get("middleware_function_ids") if isinstance(self.binding.config, dict) else None
        return [each for each in ids if isinstance(each, str)] if isinstance(ids, list) else []


@attrs.frozen
class NoRoute:
    """Nobody serves a request."""

    allow: tuple[str, ...] = ()
    """The methods that are served there; none if the path is unknown."""


@attrs.define(eq=False)
class Routes:
    """What is served."""

    _routes: dict[tuple[str, str], Route] = attrs.field(factory=dict, init=False)
    _by_binding: dict[str, Route] = attrs.field(factory=dict, init=False)

    def part(self) -> Part:
        """What `iii-http` offers."""
        return Part(
            worker=WORKER,
            description="Expose functions as HTTP endpoints.",
            trigger_types=(
                TriggerType(
                    id=HTTP, description="HTTP API trigger", worker=WORKER, accept=self.accept, release=self.release
                ),
            ),
        )

    def find(self, method: str, path: str) -> Route | NoRoute:
        """Who serves a request. A `GET` is not a `HEAD`: that one is not found."""
        by_method = self._at(path)
        if method in by_method:
            return by_method[method]
        if method == "HEAD" and "GET" in by_method:
            return NoRoute()
        return NoRoute(self.allowed(path))

    def allowed(self, path: str) -> tuple[str, ...]:
        """The methods that the engine says are served at a path; none if it is unknown."""
        pairs = ((method, "HEAD") if method == "GET" else (method,) for method in self._at(path))
        return tuple(dict.fromkeys(chain.from_iterable(pairs)))

    def _at(self, path: str) -> dict[str, Route]:
        """What the most specific pattern that matches a path serves, by method."""
        served = [route for route in self._routes.values() if route.method in METHODS and route.pattern.matches(path)]
        best = min((route.pattern for route in served), key=lambda pattern: pattern.rank, default=None)
        return {route.method: route for route in served if route.pattern == best}

    def accept(self, binding: Binding) -> None:
        """Serve a binding, in place of another one of the same method and path, whoever owns that."""
        route = _read(binding)
        for other in self._routes.values():
            _check_beside(route, other)
        self._drop(self._by_binding.pop(binding.id, None))
        self._routes[route.key] = self._by_binding[binding.id] = route

    def release(self, binding: Binding) -> None:
        """Serve it no longer; the route stays if it is another one's by now."""
        self._drop(self._by_binding.pop(binding.id, None))

    def _drop(self, route: Route | None) -> None:
        if route is not None and self._routes.get(route.key) is route:
            del self._routes[route.key]


def _read(binding: Binding) -> Route:
    config: dict[str, Any] = binding.config if isinstance(binding.config, dict) else {}
    path, method = config.get("api_path"), config.get("http_method")
    if not isinstance(path, str):
        raise BindingRefused("api_path is required for http triggers")
    method = method.upper() if isinstance(method, str) else "GET"
    try:
        pattern = compile_path(path)
    except ValueError as error:
        text = f"Route '{method} {path}' has the segment '{error}', at which the real engine's router breaks for good"
        raise BindingRefused(text) from None
    return Route(binding=binding, method=method, path=path, pattern=pattern)


def _check_beside(route: Route, other: Route) -> None:
    """Refuse what the engine refuses, and what the real one's router breaks at."""
    if other.key == route.key:
        return
    mine, its = f"Route '{route.method} {route.path}'", f"'{other.method} {other.path}'"
    if route.method == other.method and _signature(route) == _signature(other):
        raise BindingRefused(
            f"{mine} conflicts with already-registered route {its}: routes with identical structure but different "
            "path-parameter names are not supported"
        )
    if {route.method, other.method} <= {*METHODS} and route.pattern.clashes_with(other.pattern):
        raise BindingRefused(
            f"{mine} differs from already-registered route {its} in the names or kinds of its parameters only, at which "
            "the real engine's router breaks for good"
        )


def _signature(route: Route) -> list[str]:
    segments = route.pattern.text.split("/")
    return ["{}" if segment.startswith("{") and segment.endswith("}") else segment for segment in segments]
