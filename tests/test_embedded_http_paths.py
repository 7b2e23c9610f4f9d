"""Which requests a path stands for, which of two is preferred, and what the real router breaks at."""

from __future__ import annotations

import pytest

from iii_trio._embedded.http_paths import compile_path, path_parameters


@pytest.mark.parametrize(
    ("path", "fits", "does_not_fit"),
    [
        pytest.param("/a/b", ["/a/b"], ["/a/b/", "/a", "/a/c", "a/b", "*"], id="literal"),
        pytest.param("a/b", ["/a/b"], ["a/b"], id="no-leading-slash"),
        pytest.param("", ["/"], ["", "//"], id="empty"),
        pytest.param("/", ["/"], ["", "/a"], id="root"),
        pytest.param("/a/:x", ["/a/1", "/a/x%2fy", "/a/:"], ["/a/", "/a", "/a/1/2"], id="parameter"),
        pytest.param("/a/{x}", ["/a/1"], ["/a/"], id="braces"),
        pytest.param("/a/:x/b", ["/a/1/b", "/a//b"], ["/a/b", "/a/1/c"], id="parameter-in-the-middle"),
        pytest.param("/a/:x/:x", ["/a/1/2"], ["/a/1"], id="one-name-twice"),
        pytest.param("/a/v{x}", ["/a/v1"], ["/a/v", "/a/1"], id="text-before"),
        pytest.param("/a/{*r}", ["/a/1", "/a/1/2", "/a//b"], ["/a/", "/a"], id="rest"),
        pytest.param("/a/:*r", ["/a/1/2"], ["/a/"], id="rest-with-a-colon"),
        pytest.param("/a/v{*r}", ["/a/v1/2"], ["/a/v", "/a/1"], id="text-before-the-rest"),
        pytest.param("/a/{{x}}", ["/a/{x}"], ["/a/1"], id="braces-meant"),
        pytest.param("/a/:{x}", ["/a/{x}"], ["/a/1"], id="braces-meant-by-a-colon"),
        pytest.param("/a/x*r", ["/a/x*r"], ["/a/xr"], id="star-inside"),
        pytest.param("/a/x:y", ["/a/x:y"], ["/a/x1"], id="colon-inside"),
        pytest.param("//a", ["//a"], ["/a"], id="two-slashes"),
    ],
)
def test_a_path_fits_what_the_real_router_takes(path: str, fits: list[str], does_not_fit: list[str]) -> None:
    """Nothing is decoded, and a slash at the end counts."""
    pattern = compile_path(path)
    assert [each for each in fits if not pattern.matches(each)] == []
    assert [each for each in does_not_fit if pattern.matches(each)] == []


@pytest.mark.parametrize("segment", ["{x", "x}", "{x}.json", "{x}{y}", "{}", "{*}", "*r", ":", "{{x}", "a{x}}"])
def test_a_segment_that_breaks_the_real_router_is_named(segment: str) -> None:
    """In its braces, if it has a colon."""
    with pytest.raises(ValueError) as raised:
        compile_path(f"/a/{segment}")
    assert str(raised.value) == ("{}" if segment == ":" else segment)


def test_the_rest_has_to_be_the_last() -> None:
    """As for the real router."""
    with pytest.raises(ValueError):
        compile_path("/a/{*r}/b")


@pytest.mark.parametrize(
    ("preferred", "other", "path"),
    [
        pytest.param("/a/b", "/a/:x", "/a/b", id="literal"),
        pytest.param("/a/v{x}", "/a/:x", "/a/v1", id="text-before"),
        pytest.param("/a/v1{x}", "/a/v{x}", "/a/v12", id="more-text-before"),
        pytest.param("/", "/{*r}", "/", id="root"),
        pytest.param("/a/:x/c", "/{*r}", "/a/1/c", id="rest-last"),
    ],
)
def test_of_two_paths_the_more_specific_one_is_preferred(preferred: str, other: str, path: str) -> None:
    """Whatever the order of their coming."""
    assert compile_path(preferred).matches(path)
    assert compile_path(preferred).rank < compile_path(other).rank


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        pytest.param("/a/:x", "/a/:y", True, id="names"),
        pytest.param("/a/:x", "/a/{x}", False, id="notations"),
        pytest.param("/a/:x/:y", "/a/:y/:x", True, id="names-exchanged"),
        pytest.param("/a/v{x}", "/a/v{y}", True, id="names-behind-text"),
        pytest.param("/a/v{x}", "/a/:y", False, id="text-before"),
        pytest.param("/a/{*r}", "/a/:x", True, id="kinds"),
        pytest.param("/a/{*r}", "/a/:x/b", True, id="kinds-and-more"),
        pytest.param("/a/:x", "/a/:y/b", False, id="one-is-longer"),
        pytest.param("/a/:x/c", "/a/:y/b", False, id="other-end"),
        pytest.param("/a/b", "/a/b", False, id="the-same"),
    ],
)
def test_the_real_router_does_not_bear_both(one: str, other: str, clash: bool) -> None:
    """In either order."""
    assert compile_path(one).clashes_with(compile_path(other)) is clash
    assert compile_path(other).clashes_with(compile_path(one)) is clash


@pytest.mark.parametrize(
    ("registered", "path", "parameters"),
    [
        pytest.param("/a/:x/:y", "/a/1/b%20c", {"x": "1", "y": "b%20c"}, id="as-sent"),
        pytest.param("a/:x", "/a/1", {"x": "1"}, id="no-leading-slash"),
        pytest.param("/a/{x}", "/a/1", {}, id="braces-have-no-names"),
        pytest.param("/a/:x/b", "/a//b", {}, id="empty-segments-do-not-count"),
    ],
)
def test_parameters_are_what_the_handler_gets(registered: str, path: str, parameters: dict[str, str]) -> None:
    """By the names that begin with a colon."""
    assert path_parameters(registered, path) == parameters
