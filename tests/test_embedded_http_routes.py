"""Who serves a request, and who takes whose place."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._embedded.http_routes import NoRoute, Route, Routes
from iii_trio._embedded.triggers import Binding, BindingRefused


def bound(binding_id: str, path: Any, method: Any = None, **more: Any) -> Binding:
    """A binding; its function has its id."""
    config = {"api_path": path, "http_method": method, **more}
    return Binding(id=binding_id, trigger_type="http", function_id=binding_id, config=config)


def serving(routes: Routes, method: str, path: str) -> str | None:
    """The function behind a request."""
    found = routes.find(method, path)
    return found.binding.function_id if isinstance(found, Route) else None


def with_bindings(*bindings: Binding) -> Routes:
    """Those."""
    routes = Routes()
    for binding in bindings:
        routes.accept(binding)
    return routes


def test_the_method_is_get_unless_said_otherwise() -> None:
    """In any case, and only if it is text."""
    routes = with_bindings(bound("1", "/a"), bound("2", "/b", "pOsT"), bound("3", "/c", 5))
    assert [serving(routes, "GET", "/a"), serving(routes, "POST", "/b"), serving(routes, "GET", "/c")] == [
        "1",
        "2",
        "3",
    ]


@pytest.mark.parametrize("config", [{}, None, {"api_path": None}, {"api_path": 5}, "text"])
def test_a_path_is_required(config: Any) -> None:
    """In the engine's words."""
    with pytest.raises(BindingRefused, match=r"^api_path is required for http triggers$"):
        Routes().accept(Binding(id="1", trigger_type="http", function_id="f", config=config))


def test_the_same_route_again_takes_the_place_of_the_first() -> None:
    """Whoever owns it; removing the first one then removes nothing, and it does not come back."""
    first, second = bound("1", "/a/:x", "PUT"), bound("2", "a/:x", "PUT")
    routes = with_bindings(first, second)
    assert serving(routes, "PUT", "/a/1") == "2"
    routes.release(first)
    assert serving(routes, "PUT", "/a/1") == "2"
    routes.release(second)
    assert routes.find("PUT", "/a/1") == NoRoute()


def test_a_binding_that_moves_leaves_its_old_route() -> None:
    """The real engine goes on serving that for ever."""
    routes = with_bindings(bound("1", "/old"), bound("1", "/new"))
    assert [serving(routes, "GET", "/old"), serving(routes, "GET", "/new")] == [None, "1"]


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        pytest.param(
            bound("1", "/a/:x"),
            bound("2", "/a/:y"),
            "Route 'GET /a/:y' conflicts with already-registered route 'GET /a/:x': routes with identical structure but "
            "different path-parameter names are not supported",
            id="refused-there",
        ),
        pytest.param(
            bound("1", ""),
            bound("2", "/"),
            "Route 'GET /' conflicts with already-registered route 'GET ': routes with identical structure but different "
            "path-parameter names are not supported",
            id="root-twice",
        ),
        pytest.param(
            bound("1", "/a/:x"),
            bound("2", "/a/:y", "post"),
            "Route 'POST /a/:y' differs from already-registered route 'GET /a/:x' in the names or kinds of its parameters "
            "only, at which the real engine's router breaks for good",
            id="breaks-there",
        ),
    ],
)
def test_routes_that_cannot_stand_side_by_side_are_refused(one: Binding, other: Binding, text: str) -> None:
    """The first one stays."""
    routes = with_bindings(one)
    with pytest.raises(BindingRefused) as refused:
        routes.accept(other)
    assert str(refused.value) == text
    assert serving(routes, "POST", "/a/1") is None


def test_a_path_that_breaks_the_real_router_is_refused() -> None:
    """With the segment."""
    with pytest.raises(BindingRefused) as refused:
        Routes().accept(bound("1", "/a/*r/b"))
    assert (
        str(refused.value)
        == "Route 'GET /a/*r/b' has the segment '*r', at which the real engine's router breaks for good"
    )


def test_a_method_that_the_engine_does_not_know_is_never_reached() -> None:
    """Nor is it in anybody's way."""
    routes = with_bindings(bound("1", "/a/:x", "TRACE"), bound("2", "/a/:y"))
    assert routes.find("TRACE", "/a/1") == NoRoute(("GET", "HEAD"))
    assert serving(routes, "GET", "/a/1") == "2"


def test_a_known_path_says_which_methods_it_has() -> None:
    """Of the path that is preferred; a GET claims HEAD as well, which is not found all the same."""
    routes = with_bindings(
        bound("1", "/a/b", "POST"), bound("2", "/a/b"), bound("3", "/a/:x", "PUT"), bound("4", "/h", "HEAD")
    )
    assert routes.find("PUT", "/a/b") == NoRoute(("POST", "GET", "HEAD"))
    assert routes.find("HEAD", "/a/b") == NoRoute()
    assert routes.allowed("/a/1") == ("PUT",)
    assert routes.find("GET", "/nothing") == NoRoute()


@pytest.mark.parametrize(
    ("ids", "middleware"),
    [
        pytest.param(["a", 5, "b"], ["a", "b"], id="only-text-counts"),
        pytest.param("a", [], id="no-list"),
        pytest.param(None, [], id="none"),
    ],
)
def test_the_middleware_of_a_route_is_what_its_binding_names(ids: Any, middleware: list[str]) -> None:
    """In order."""
    found = with_bindings(bound("1", "/a", middleware_function_ids=ids)).find("GET", "/a")
    assert isinstance(found, Route)
    assert found.middleware == middleware
