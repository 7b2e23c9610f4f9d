"""What a trigger type of ours is told of bindings, in which order, and what the engine hears of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, InvocationError
from iii_trio._handlers.providers import MAX_BINDINGS, REFUSED, Providers, inspect_provider
from iii_trio._wire.messages import RegisterTrigger, TriggerRegistrationResult, UnregisterTrigger
from iii_trio.errors import ConfigurationError, RegistrationRejectedError
from iii_trio.runtime import TriggerTypeRef
from iii_trio.testing import EmbeddedEngine
from iii_trio.trigger import Trigger, TriggerConfig, TriggerHandler
from tests.conftest import Link, MemoryLink, frames
from tests.interop.engines import until

C = TypeVar("C")

TYPE: dict[str, Any] = {"id": "webhook", "description": "calls from elsewhere"}


@attrs.define(eq=False)
class Provider(TriggerHandler[Any]):
    """Notes what it is told; can be made to wait, and to refuse."""

    told: list[Any] = attrs.field(factory=list)
    refuses: BaseException | None = None
    fails_to_end: BaseException | None = None
    holds: set[str] = attrs.field(factory=set)
    """Functions whose bindings are looked at only when `go` says so."""

    go: trio.Event = attrs.field(factory=trio.Event)
    bound: dict[str, TriggerConfig[Any]] = attrs.field(factory=dict)

    async def register_trigger(self, config: TriggerConfig[Any]) -> None:
        self.told.append(("register", config.function_id, config.config))
        if config.function_id in self.holds:
            await self.go.wait()
        if self.refuses is not None:
            raise self.refuses
        self.bound[config.function_id] = config

    async def unregister_trigger(self, config: TriggerConfig[Any]) -> None:
        self.told.append(("unregister", config.function_id, config.config))
        self.bound.pop(config.function_id, None)
        if self.fails_to_end is not None:
            raise self.fails_to_end


class SyncProvider(TriggerHandler[Any]):
    """The same in threads."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.threads: set[int] = set()
        self.go = threading.Event()

    def register_trigger(self, config: TriggerConfig[Any]) -> None:
        self.threads.add(threading.get_ident())
        self.go.wait(10)
        self.told.append(f"register {config.function_id}")
        if config.config == {"refuse": True}:
            raise ValueError("not this one")

    def unregister_trigger(self, config: TriggerConfig[Any]) -> None:
        self.threads.add(threading.get_ident())
        self.told.append(f"unregister {config.function_id}")


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def soon(happened: Callable[[], object]) -> None:
    """A thread has done it, within the limit."""
    with trio.fail_after(10):
        await until(happened)


async def provide(iii: III, provider: TriggerHandler[Any]) -> TriggerTypeRef[Any, Any]:
    ref: TriggerTypeRef[Any, Any] = iii.register_trigger_type(TYPE, provider)
    await ref.wait_registered()
    return ref


def bind(iii: III, function_id: str = "f", config: Any = None, **fields: Any) -> Trigger:
    return iii.register_trigger(type="webhook", function_id=function_id, config=config, **fields)


def hand_over(link: MemoryLink, binding_id: str = "b1", function_id: str = "f", **fields: Any) -> None:
    """As the engine does it."""
    binding = {"id": binding_id, "trigger_type": "webhook", "function_id": function_id, "config": {}, **fields}
    link.say(type="registertrigger", **binding)


def verdicts(engine: EmbeddedEngine, **fields: Any) -> list[TriggerRegistrationResult]:
    return frames(engine, TriggerRegistrationResult, **fields)


def refusal(engine: EmbeddedEngine) -> tuple[str, str]:
    """Code and message of the one verdict, which is a refusal."""
    (verdict,) = verdicts(engine)
    assert verdict.error is not None
    return verdict.error.code, verdict.error.message


# ---- what it takes ----------------------------------------------------------------------------------------------------


class Door:
    """What no JSON can be."""

    def __init__(self, number: int) -> None:
        self.number = number


@attrs.frozen(eq=False)
class House:
    """A config, which equals nothing but itself."""

    door: int
    bell: bool = True


@attrs.define(eq=False)
class Bells(TriggerHandler[House]):
    """A provider whose class says what it takes."""

    told: list[Any] = attrs.field(factory=list)

    async def register_trigger(self, config: TriggerConfig[House]) -> None:
        self.told.append(config.config)

    async def unregister_trigger(self, config: TriggerConfig[House]) -> None:
        self.told.append(("end", config.config))


class LateBells(TriggerHandler["House"]):
    """The same, said in text."""

    def register_trigger(self, config: TriggerConfig[House]) -> None: ...

    def unregister_trigger(self, config: TriggerConfig[House]) -> None: ...


class OtherBells(TriggerHandler[C]):
    """One whose instances say it."""

    def register_trigger(self, config: TriggerConfig[C]) -> None: ...

    def unregister_trigger(self, config: TriggerConfig[C]) -> None: ...


class SomeBells(OtherBells[House]):
    """One whose base says it."""


@pytest.mark.parametrize(
    "handler", [Bells(), LateBells(), OtherBells[House](), SomeBells()], ids=["class", "text", "instance", "base"]
)
def test_the_class_of_a_handler_says_what_its_configs_are(handler: TriggerHandler[Any]) -> None:
    """And its schema is made of that."""
    provider = inspect_provider("webhook", handler)
    assert provider.config_type is not None
    assert provider.config_type.schema is not None
    assert provider.config_type.schema["required"] == ["door"]


@pytest.mark.parametrize("handler", [Provider(), OtherBells()], ids=["any", "nothing"])
def test_a_class_that_says_nothing_takes_everything(handler: TriggerHandler[Any]) -> None:
    """As it comes."""
    assert inspect_provider("webhook", handler).config_type is None


@pytest.mark.parametrize("handler", [OtherBells[Door](), OtherBells["Nobody"]()], ids=["class", "name"])  # type: ignore[name-defined]
async def test_configs_that_no_json_can_be_are_refused_with_the_type(
    link: MemoryLink, handler: TriggerHandler[Any]
) -> None:
    """Not with the first binding."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match="OtherBells takes, the handler of the trigger type 'webhook'"):
            iii.register_trigger_type(TYPE, handler)
        assert iii.statistics().trigger_types == 0


async def test_a_typed_provider_gets_typed_configs(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Once, also when the engine hands the binding over again; the end comes with the same one."""
    provider = Bells()
    async with link.client() as iii:
        ref = iii.register_trigger_type(TYPE, provider)
        trigger = ref.register_trigger("f", House(door=7))
        await settle()
        await link.go_down()
        link.is_up = True
        await iii.wait_connected()
        await settle()
        (house,) = provider.told
        assert (house.door, house.bell) == (7, True)
        trigger.unregister()
        await settle()
        assert provider.told[1:] == [("end", house)]


async def test_a_config_that_does_not_fit_refuses_the_binding(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """With the path of the fault; the handler does not hear of it, and others go on."""
    provider = Bells()
    async with link.client() as iii:
        iii.register_trigger_type(TYPE, provider)
        trigger = bind(iii, config={"door": "7"})
        await settle()
        code, message = refusal(engine)
        assert code == "invalid_input"
        assert "door" in message
        assert provider.told == []
        assert isinstance(trigger.error, RegistrationRejectedError)
        assert trigger.error.code == "invalid_input"
        bind(iii, config={"door": 8})
        await settle()
        assert [house.door for house in provider.told] == [8]
        assert iii.statistics().bindings == 1


# ---- what it is told --------------------------------------------------------------------------------------------------


async def test_a_provider_is_told_of_a_binding_and_of_its_end(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """With everything that it says; the engine hears a success, and of the end nothing."""
    provider = Provider()
    async with link.client() as iii, Link(engine).client(namespace="shop") as other:
        await provide(iii, provider)
        trigger = bind(other, "shop::f", {"path": "/x"}, metadata={"m": 1})
        await trigger.wait_registered()
        await settle()
        assert provider.bound["shop::f"] == TriggerConfig(
            id=trigger.id, function_id="shop::f", config={"path": "/x"}, metadata={"m": 1}, namespace="shop"
        )
        assert iii.statistics().bindings == 1
        trigger.unregister()
        await settle()
        assert provider.told == [("register", "shop::f", {"path": "/x"}), ("unregister", "shop::f", {"path": "/x"})]
        assert iii.statistics().bindings == 0
        (verdict,) = verdicts(engine)
        assert verdict == TriggerRegistrationResult(trigger.id, "webhook", "shop::f")


async def test_the_default_namespace_is_named(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """The engine leaves it out, and a call without one would go to the provider's own."""
    provider = Provider()
    async with link.client(namespace="shop") as iii, Link(engine).client() as other:
        await provide(iii, provider)
        await bind(other, trigger_namespace="shop").wait_registered()
        await settle()
        assert provider.bound["f"].namespace == "default"


async def test_a_binding_from_before_the_type_is_handed_over(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """It was parked, which its owner was not told as an error."""
    provider = Provider()
    async with link.client() as iii, Link(engine).client() as other:
        await bind(other).wait_registered()
        await provide(iii, provider)
        await settle()
        assert [*provider.bound] == ["f"]


async def test_what_is_handed_over_again_is_told_once(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """After a reconnection, and when the same type is registered again; the engine gets its answer each time."""
    provider = Provider()
    async with link.client() as iii, Link(engine).client() as other:
        await provide(iii, provider)
        await bind(other).wait_registered()
        await settle()
        link.wire.cut()
        await settle()
        await iii.wait_connected()
        await settle()
        await provide(iii, provider)
        await settle()
        assert provider.told == [("register", "f", {})]
        assert [verdict.error for verdict in verdicts(engine)] == [None, None, None]
        assert iii.statistics().bindings == 1


async def test_a_binding_that_comes_back_changed_ends_and_begins_anew(link: MemoryLink) -> None:
    """So a provider never has to think of an id that it knows."""
    provider = Provider()
    async with link.client() as iii:
        await provide(iii, provider)
        for config in ({"n": 1}, {"n": 2}):
            hand_over(link, config=config)
            await settle()
        assert provider.told == [
            ("register", "f", {"n": 1}),
            ("unregister", "f", {"n": 1}),
            ("register", "f", {"n": 2}),
        ]
        assert iii.statistics().bindings == 1


async def test_what_ended_meanwhile_is_told_when_the_connection_is_ready(
    link: MemoryLink, engine: EmbeddedEngine
) -> None:
    """It does not come again, and that is all that there is to see of it."""
    provider = Provider()
    async with link.client() as iii, Link(engine).client() as other:
        await provide(iii, provider)
        gone, stays = bind(other, "gone"), bind(other, "stays")
        await stays.wait_registered()
        await settle()
        await link.go_down()
        gone.unregister()
        await settle()
        assert ("unregister", "gone", {}) not in provider.told
        link.is_up = True
        await iii.wait_connected()
        await settle()
        assert provider.told[2:] == [("unregister", "gone", {})]
        assert [*provider.bound] == ["stays"]


async def test_another_handler_of_the_type_takes_the_bindings_over(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """The first one is told that they end, by the same word that gives them to the second."""
    first, second = Provider(), Provider()
    async with link.client() as iii, Link(engine).client() as other:
        await provide(iii, first)
        await bind(other).wait_registered()
        await settle()
        await provide(iii, second)
        await settle()
        assert (first.told[1:], second.told) == ([("unregister", "f", {})], [("register", "f", {})])
        assert iii.statistics().bindings == 1


# ---- order, and providers that take their time --------------------------------------------------------------------------


async def test_one_binding_is_served_in_order(link: MemoryLink) -> None:
    """Its end waits until its provider is done with its beginning; others do not wait for it."""
    provider = Provider(holds={"slow"})
    async with link.client() as iii:
        await provide(iii, provider)
        hand_over(link, "b1", "slow")
        await settle()
        link.say(type="unregistertrigger", id="b1", trigger_type="webhook")
        hand_over(link, "b2", "quick")
        await settle()
        assert provider.told == [("register", "slow", {}), ("register", "quick", {})]
        provider.go.set()
        await settle()
        assert provider.told[2:] == [("unregister", "slow", {})]


async def test_nothing_piles_up_behind_a_provider_that_hangs(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """Only the newest word of the engine counts, and only that is answered."""
    provider = Provider(holds={"f"})
    async with link.client() as iii:
        await provide(iii, provider)
        hand_over(link, config={"n": 0})
        await settle()
        for number in range(50):
            hand_over(link, config={"n": number})
            link.say(type="unregistertrigger", id="b1", trigger_type="webhook")
        hand_over(link, config={"n": 50})
        await settle()
        provider.go.set()
        await settle()
        assert provider.told == [
            ("register", "f", {"n": 0}),
            ("unregister", "f", {"n": 0}),
            ("register", "f", {"n": 50}),
        ]
        assert len(verdicts(engine)) == 2


async def test_a_binding_that_ended_while_its_provider_hung_is_told_too(
    link: MemoryLink, engine: EmbeddedEngine
) -> None:
    """It came over a connection that is gone; what it is worth shows on the next one."""
    provider = Provider(holds={"f"})
    async with link.client() as iii, Link(engine).client() as other:
        await provide(iii, provider)
        trigger = bind(other)
        await trigger.wait_registered()
        await settle()
        await link.go_down()
        trigger.unregister()
        await settle()
        link.is_up = True
        await iii.wait_connected()
        provider.go.set()
        await settle()
        assert provider.told == [("register", "f", {}), ("unregister", "f", {})]
        assert iii.statistics().bindings == 0


async def test_a_provider_that_hangs_does_not_keep_the_client_from_ending(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """It is cancelled like a handler."""
    with trio.fail_after(60):
        async with link.client(drain_timeout=5) as iii:
            await provide(iii, Provider(holds={"f"}))
            hand_over(link)
            await settle()


async def test_the_verdict_of_a_lost_connection_is_dropped(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """The engine asks again on the next one."""
    provider = Provider(holds={"f"})
    async with link.client() as iii, Link(engine).client() as other:
        await provide(iii, provider)
        await bind(other).wait_registered()
        await settle()
        await link.go_down()
        provider.go.set()
        await settle()
        assert (verdicts(engine), iii.statistics().dropped_results) == ([], 1)
        link.is_up = True
        await iii.wait_connected()
        await settle()
        assert len(verdicts(engine)) == 1
        assert provider.told == [("register", "f", {})]


# ---- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        pytest.param(ValueError("bad url"), REFUSED, "ValueError: bad url", id="any"),
        pytest.param(InvocationError("quota", "too many"), "quota", "too many", id="with-a-code"),
        pytest.param(
            InvocationError("quota", "too many", invocation_id="i1"),
            REFUSED,
            "InvocationError: quota: too many",
            id="of-a-call",
        ),
        pytest.param(ValueError("\ud800"), REFUSED, "ValueError: ?", id="a-surrogate"),
        pytest.param(SystemExit(3), REFUSED, "SystemExit: 3", id="exit"),
        pytest.param(BaseExceptionGroup("both", [SystemExit(3)]), REFUSED, "BaseExceptionGroup: both", id="group"),
    ],
)
async def test_a_provider_that_raises_refuses(
    link: MemoryLink, engine: EmbeddedEngine, error: BaseException, code: str, message: str
) -> None:
    """With its own code, if it made the error itself; the client goes on, and holds no such binding."""
    async with link.client() as iii:
        await provide(iii, Provider(refuses=error))
        hand_over(link)
        await settle()
        got = refusal(engine)
        assert got[0] == code
        assert got[1].startswith(message)
        assert iii.statistics().bindings == 0
        assert iii.get_connection_state() == "connected"


async def test_the_owner_of_a_refused_binding_is_told_late(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """The engine had accepted it; `error` has code and words, and waiting again raises them."""
    provider = Provider(refuses=InvocationError("quota", "too many"), holds={"f"})
    async with link.client() as iii, Link(engine).client() as other:
        await provide(iii, provider)
        trigger = bind(other)
        await trigger.wait_registered()
        assert trigger.error is None
        provider.go.set()
        await settle()
        assert isinstance(trigger.error, RegistrationRejectedError)
        assert (trigger.error.code, trigger.error.trigger_id) == ("quota", trigger.id)
        with pytest.raises(RegistrationRejectedError, match="too many"):
            await trigger.wait_registered()


async def test_a_type_that_is_not_provided_here_is_refused(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """An engine that does not know that it was taken back goes on asking."""
    async with link.client():
        hand_over(link)
        await settle()
        assert refusal(engine) == ("trigger_type_not_found", "this worker provides no trigger type 'webhook'")


async def test_the_end_of_a_binding_that_nobody_knows_is_nothing(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """It was refused, or is of an older connection."""
    provider = Provider()
    async with link.client() as iii:
        await provide(iii, provider)
        link.say(type="unregistertrigger", id="b1", trigger_type="webhook")
        await settle()
        assert (provider.told, verdicts(engine), iii.statistics().unexpected_frames) == ([], [], 0)


async def test_a_provider_that_fails_to_end_a_binding_has_ended_it(
    link: MemoryLink, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; there is nobody to tell."""
    provider = Provider(fails_to_end=OSError("stuck"))
    async with link.client() as iii:
        await provide(iii, provider)
        hand_over(link)
        await settle()
        link.say(type="unregistertrigger", id="b1", trigger_type="webhook")
        await settle()
        hand_over(link)
        await settle()
        assert [word for word, *_ in provider.told] == ["register", "unregister", "register"]
        assert "failed to end a binding" in caplog.text
        assert iii.statistics().bindings == 1


async def test_a_provider_that_hangs_is_cancelled_whatever_else_it_raises(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """One with a nursery of its own may raise both; the cancellation goes on, and the client ends in peace."""

    class Stubborn(Provider):
        async def register_trigger(self, config: TriggerConfig[Any]) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._fail_late)
                await trio.sleep_forever()

        async def _fail_late(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise OSError("stuck")

    with trio.fail_after(60):
        async with link.client(drain_timeout=1) as iii:
            await provide(iii, Stubborn())
            hand_over(link)
            await settle()


# ---- taking a type back -----------------------------------------------------------------------------------------------


async def test_a_type_that_is_taken_back_lets_its_bindings_go(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """The provider is told, and so are their owners, since an engine that cannot drop the type would call them served."""
    provider = Provider()
    async with link.client() as iii, Link(engine).client() as other:
        ref = await provide(iii, provider)
        trigger = bind(other)
        await trigger.wait_registered()
        await settle()
        ref.unregister()
        ref.unregister()
        await settle()
        assert provider.told[1:] == [("unregister", "f", {})]
        assert (iii.statistics().trigger_types, iii.statistics().bindings) == (0, 0)
        assert isinstance(trigger.error, RegistrationRejectedError)
        assert trigger.error.code == "trigger_type_not_found"


async def test_a_type_that_comes_back_finds_its_bindings_again(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """They were parked meanwhile."""
    provider = Provider()
    async with link.client() as iii, Link(engine).client() as other:
        ref = await provide(iii, provider)
        await bind(other).wait_registered()
        await settle()
        ref.unregister()
        await settle()
        await provide(iii, provider)
        await settle()
        assert [word for word, *_ in provider.told] == ["register", "unregister", "register"]


# ---- threads ----------------------------------------------------------------------------------------------------------


async def test_a_sync_provider_runs_in_a_thread(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """Both of its methods; what it raises refuses as well."""
    provider = SyncProvider()
    provider.go.set()
    async with link.client() as iii:
        await provide(iii, provider)
        hand_over(link)
        hand_over(link, "b2", "g", config={"refuse": True})
        await soon(lambda: len(verdicts(engine)) == 2)
        link.say(type="unregistertrigger", id="b1", trigger_type="webhook")
        await soon(lambda: "unregister f" in provider.told)
    assert sorted(provider.told) == ["register f", "register g", "unregister f"]
    assert threading.get_ident() not in provider.threads
    assert {verdict.function_id for verdict in verdicts(engine) if verdict.error is not None} == {"g"}


async def test_sync_providers_share_the_threads_of_the_handlers(link: MemoryLink) -> None:
    """A handler that finds none waits for its turn, and is counted as waiting."""
    provider = SyncProvider()
    async with link.client(max_threads=1) as iii, trio.open_nursery() as nursery:
        await provide(iii, provider)
        await iii.register_function("sync", lambda: "done").wait_registered()
        hand_over(link)
        await soon(lambda: bool(provider.threads))
        assert iii.statistics().threads == 1
        answers: list[Any] = []

        async def call() -> None:
            answers.append(await iii.trigger("sync"))

        nursery.start_soon(call)
        await soon(lambda: iii.statistics().pending_invocations == 1)
        provider.go.set()
    assert answers == ["done"]


async def test_a_sync_method_that_returns_something_to_wait_for_refuses(
    link: MemoryLink, engine: EmbeddedEngine
) -> None:
    """As a wrapper of an async one does that nobody made async; what it began is closed."""

    class Wrapped(Provider):
        def register_trigger(self, config: TriggerConfig[Any]) -> Any:
            return Provider.register_trigger(self, config)

    async with link.client() as iii:
        await provide(iii, Wrapped())
        hand_over(link)
        await soon(lambda: bool(verdicts(engine)))
    assert refusal(engine)[0] == REFUSED
    assert "make the handler itself async" in refusal(engine)[1]


# ---- bounds -----------------------------------------------------------------------------------------------------------


@attrs.define
class _Outbox:
    """What the providers need of a session to answer."""

    results: None = None
    has: bool = True

    def has_room(self, lane: None, size: int) -> bool:
        return self.has


@attrs.define
class _Counters:
    dropped_results: int = 0


@attrs.define(eq=False)
class _Session:
    """A session that remembers the answers."""

    outbox: _Outbox = attrs.field(factory=_Outbox)
    counters: _Counters = attrs.field(factory=_Counters)
    epoch: int = 1
    answers: list[Any] = attrs.field(factory=list)

    def encode(self, frame: Any) -> Any:
        return f"{frame.id}:{frame.error.code}"

    def answer(self, epoch: int, frame: Any, *, age: float, now: float) -> None:
        self.answers.append(frame)


@attrs.define(eq=False)
class _Dispatcher:
    session: _Session = attrs.field(factory=_Session)
    nursery: None = None


async def test_what_goes_beyond_the_bound_is_refused_overloaded() -> None:
    """Other workers decide how many bindings there are. The end of one makes room; without room to answer it is counted."""
    dispatcher = _Dispatcher()
    providers = Providers(dispatcher, max_bindings=2)  # type: ignore[arg-type]
    for number in range(3):
        providers.receive(RegisterTrigger(f"b{number}", "webhook", "f", {}))
    assert dispatcher.session.answers == ["b2:overloaded"]
    providers.receive(UnregisterTrigger("b9"))
    providers.receive(RegisterTrigger("b1", "webhook", "f", {"changed": True}))
    assert dispatcher.session.answers == ["b2:overloaded"]
    dispatcher.session.outbox.has = False
    providers.receive(RegisterTrigger("b3", "webhook", "f", {}))
    assert (len(dispatcher.session.answers), dispatcher.session.counters.dropped_results) == (1, 1)


def test_the_bound_is_the_documented_one() -> None:
    """100,000 bindings."""
    assert MAX_BINDINGS == 100_000
    assert f"{MAX_BINDINGS:,} bindings" in (III.register_trigger_type.__doc__ or "")
