"""What listeners that ask who calls give to their functions, and what these answer."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._values.building import build
from iii_trio._values.rbac import (
    AuthInput,
    AuthResult,
    MiddlewareFunctionInput,
    OnFunctionRegistrationInput,
    OnFunctionRegistrationResult,
    OnTriggerRegistrationInput,
    OnTriggerRegistrationResult,
    OnTriggerTypeRegistrationInput,
    OnTriggerTypeRegistrationResult,
)
from iii_trio._values.requests import TriggerActionVoid
from iii_trio._values.strict import strict_converter
from iii_trio._wire.check import jsonable
from iii_trio.errors import ConfigurationError
from tests._recordings import invocations, results

STRUCTURE = strict_converter().structure


def test_a_recorded_login_is_structured() -> None:
    """Headers, query and address."""
    (data, *_) = invocations("rbac-calls", "test::rbac::auth")
    assert STRUCTURE(data, AuthInput) == AuthInput(headers={"x-team": "t"}, query_params={}, ip_address="127.0.0.1")


def test_an_answer_grants_nothing_of_itself() -> None:
    """What the listener exposes is open, functions may be offered, and trigger types may not."""
    assert jsonable(AuthResult()) == {
        "namespaces": {},
        "allowed_functions": [],
        "forbidden_functions": [],
        "allowed_trigger_types": None,
        "allow_trigger_type_registration": False,
        "allow_function_registration": True,
        "function_registration_prefix": None,
        "context": {},
    }


def test_the_recorded_answers_make_the_value() -> None:
    """Those that admitted."""
    answers = [build(AuthResult, answer) for answer in results("rbac-calls", "test::rbac::auth")]
    assert answers[0].allowed_functions == ["rbx::only"]
    assert (answers[0].function_registration_prefix, answers[0].context) == ("pre", {"u": 1})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"namespaces": []}, "namespaces must be a dict", id="a list of namespaces"),
        pytest.param({"namespaces": {"": []}}, "namespaces must not be blank", id="a blank one"),
        pytest.param({"namespaces": {"a": "f"}}, "namespaces must be a list", id="one grant and no list"),
        pytest.param({"namespaces": {"a": [1]}}, r"namespaces \[0\] must be text", id="a grant that is a number"),
        pytest.param({"allowed_functions": None}, "allowed_functions must be a list", id="null for a list"),
        pytest.param({"forbidden_functions": ["f", 2]}, r"forbidden_functions \[1\] must be text", id="a number in it"),
        pytest.param({"allowed_trigger_types": "http"}, "allowed_trigger_types must be a list", id="text for a list"),
        pytest.param({"allow_function_registration": "yes"}, "allow_function_registration must be True", id="yes"),
        pytest.param({"allow_trigger_type_registration": 1}, "allow_trigger_type_registration must be", id="1"),
        pytest.param({"function_registration_prefix": ""}, "function_registration_prefix must not", id="blank prefix"),
        pytest.param({"context": None}, "context must be dict", id="null for the context"),
    ],
)
def test_an_answer_that_would_refuse_everybody_is_refused(fields: dict[str, Any], reason: str) -> None:
    """The engine takes a wrong shape for a no."""
    with pytest.raises(ConfigurationError, match=f"AuthResult.{reason}"):
        AuthResult(**fields)


def test_recorded_calls_of_a_middleware_are_structured() -> None:
    """With the routing that the caller chose."""
    calls = [STRUCTURE(data, MiddlewareFunctionInput) for data in invocations("middleware", "test::middleware")]
    assert calls[0] == MiddlewareFunctionInput(function_id="mw::any", payload={"x": 1}, namespace="default")
    assert calls[0] == MiddlewareFunctionInput(function_id="mw::any", payload={"x": 1}, action=None, context={})
    assert any(call.action == TriggerActionVoid() for call in calls)


@pytest.mark.parametrize(
    ("cls", "tree"),
    [
        (
            OnFunctionRegistrationInput,
            {"function_id": "f", "description": None, "metadata": {"a": 1}, "namespace": "shop", "context": {"u": 1}},
        ),
        (
            OnTriggerRegistrationInput,
            {
                "trigger_id": "t",
                "trigger_type": "cron",
                "function_id": "f",
                "config": {"a": 1},
                "metadata": None,
                "namespace": "shop",
                "context": {},
            },
        ),
        (OnTriggerTypeRegistrationInput, {"trigger_type_id": "t", "description": "d", "context": None}),
    ],
)
def test_the_hooks_get_typed_values(cls: type[Any], tree: dict[str, Any]) -> None:
    """Field by field."""
    assert jsonable(STRUCTURE(tree, cls)) == tree


@pytest.mark.parametrize(
    "cls", [OnFunctionRegistrationResult, OnTriggerRegistrationResult, OnTriggerTypeRegistrationResult]
)
def test_a_hook_that_changes_nothing_says_nothing(cls: type[Any]) -> None:
    """Null for a config or metadata would replace what the worker gave."""
    assert jsonable(cls()) == {}


def test_a_hook_says_what_it_changes() -> None:
    """And nothing beside it."""
    assert jsonable(OnFunctionRegistrationResult(metadata={})) == {"metadata": {}}
    assert jsonable(OnTriggerRegistrationResult(config=False)) == {"config": False}
    assert jsonable(OnTriggerTypeRegistrationResult(description="d")) == {"description": "d"}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: OnFunctionRegistrationResult(function_id=""), "function_id must not be blank", id="id"),
        pytest.param(lambda: OnFunctionRegistrationResult(metadata=[]), "metadata must be dict", id="a list"),  # type: ignore[arg-type]
        pytest.param(lambda: OnTriggerRegistrationResult(trigger_id=" "), "trigger_id must not be blank", id="trigger"),
        pytest.param(lambda: OnTriggerRegistrationResult(trigger_type=""), "trigger_type must not", id="trigger type"),
        pytest.param(lambda: OnTriggerTypeRegistrationResult(trigger_type_id=""), "trigger_type_id must", id="type"),
        pytest.param(lambda: OnTriggerTypeRegistrationResult(description=1), "description must be str", id="number"),  # type: ignore[arg-type]
    ],
)
def test_a_change_that_the_engine_would_ignore_is_refused(make: Any, reason: str) -> None:
    """It keeps the worker's own where it cannot read the hook's."""
    with pytest.raises(ConfigurationError, match=reason):
        make()
