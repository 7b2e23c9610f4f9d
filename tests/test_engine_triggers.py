"""Triggers end to end, over real sockets: on the embedded engine, and on the one of III_TEST_URL if that is set.

``III_TEST_HTTP_URL`` is where the latter serves HTTP triggers. Every test uses names of its own.
"""

from __future__ import annotations

import functools
import json
import os
import urllib.error
import urllib.request
from typing import Any

import attrs
import pytest
import trio

from iii_trio import III, HttpInvocationConfig, InitOptions, InvocationError, open_iii
from iii_trio.errors import RegistrationRejectedError
from iii_trio.http import HttpAuthApiKey, HttpAuthBearer, HttpAuthHmac, HttpRequest, HttpResponse
from iii_trio.state import StateEventData, StateEventType
from iii_trio.stream import StreamChangeEvent, StreamSentEventDetail
from iii_trio.trigger import HttpTriggerConfig, TriggerConfig, TriggerHandler
from tests._engines import Engine, within
from tests.conftest import Link
from tests.interop.engines import until

pytestmark = pytest.mark.engine


@pytest.fixture
def real_url() -> str:
    """The URL of a real engine, for what the embedded one does not do."""
    url = os.environ.get("III_TEST_URL")
    if not url:
        pytest.skip("the embedded engine does not do this; III_TEST_URL names one that does")
    return url


@pytest.fixture
def http_url(real_url: str) -> str:
    """Where a real engine serves HTTP triggers."""
    url = os.environ.get("III_TEST_HTTP_URL")
    if not url:
        pytest.skip("III_TEST_HTTP_URL does not say where the engine serves HTTP")
    return url.rstrip("/")


class Told:
    """What handlers were told, in order."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    async def __call__(self, data: Any) -> None:
        self.all.append(data)

    async def wait(self, count: int = 1) -> list[Any]:
        await until(lambda: len(self.all) >= count)
        return self.all


# ---- what fires -------------------------------------------------------------------------------------------------------


@within(30)
async def test_state_tells_of_writes_and_deletions(engine_url: str, fresh: str) -> None:
    """Of its scope alone, as typed events, with the metadata of the binding."""
    told: list[tuple[StateEventData[Any], Any]] = []
    async with open_iii(engine_url) as iii:

        @iii.on.state(fresh, function_id=f"{fresh}::changed", trigger_metadata={"m": 1})
        async def changed(event: StateEventData[Any], metadata: Any) -> None:
            told.append((event, metadata))

        await changed.wait_registered()
        await iii.trigger("state::set", {"scope": f"{fresh}-other", "key": "k", "value": 0})
        for count, (function, value) in enumerate((("set", 1), ("set", 2), ("delete", None)), start=1):
            await iii.trigger(f"state::{function}", {"scope": fresh, "key": "k", "value": value})
            await until(lambda wanted=count: len(told) == wanted)  # type: ignore[misc]
    assert [(event.event_type, event.old_value, event.new_value) for event, _ in told] == [
        (StateEventType.CREATED, None, 1),
        (StateEventType.UPDATED, 1, 2),
        (StateEventType.DELETED, 2, None),
    ]
    assert {event.scope for event, _ in told} == {fresh}
    assert [metadata for _, metadata in told] == [{"m": 1}] * 3


@within(30)
async def test_a_condition_holds_back_what_it_answers_false_to(engine_url: str, fresh: str) -> None:
    """And nothing else; it gets the same payload."""
    told = Told()
    async with open_iii(engine_url) as iii:
        await iii.register_function(f"{fresh}::big", lambda event: event["new_value"] > 10).wait_registered()
        ref = iii.on.state(fresh, function_id=f"{fresh}::f", condition_function_id=f"{fresh}::big")(told)
        await ref.wait_registered()
        for value in (5, 50):
            await iii.trigger("state::set", {"scope": fresh, "key": f"k{value}", "value": value})
        await told.wait()
        await iii.trigger("state::set", {"scope": fresh, "key": "k60", "value": 60})
        await told.wait(2)
    assert sorted(event["new_value"] for event in told.all) == [50, 60]


@within(30)
async def test_streams_tell_of_items_and_of_what_is_sent(engine_url: str, fresh: str) -> None:
    """Of one stream and group."""
    told: list[StreamChangeEvent] = []
    async with open_iii(engine_url) as iii:

        @iii.on.stream(fresh, "room", function_id=f"{fresh}::f")
        async def changed(event: StreamChangeEvent) -> None:
            told.append(event)

        await changed.wait_registered()
        item = {"stream_name": fresh, "group_id": "room", "item_id": "1"}
        await iii.trigger("stream::set", {**item, "group_id": "hall", "data": {"n": 0}})
        await iii.trigger("stream::set", {**item, "data": {"n": 1}})
        await until(lambda: len(told) == 1)
        await iii.trigger("stream::send", {"stream_name": fresh, "group_id": "room", "type": "typing", "data": 7})
        await until(lambda: len(told) == 2)
    assert (told[0].id, told[0].event.type, told[0].groupId) == ("1", "create", "room")
    assert isinstance(told[1].event, StreamSentEventDetail)
    assert (told[1].event.event.type, told[1].event.event.data) == ("typing", 7)


@within(30)
async def test_what_is_published_reaches_who_listens(engine_url: str, fresh: str) -> None:
    """Every subscriber, without metadata."""
    told = [Told(), Told()]
    async with open_iii(engine_url) as iii:
        for number, each in enumerate(told):
            await iii.on.subscribe(fresh, function_id=f"{fresh}::f{number}")(each).wait_registered()
        await iii.trigger("publish", {"topic": fresh, "data": {"n": 1}})
        assert [await each.wait() for each in told] == [[{"n": 1}]] * 2


@within(30)
async def test_a_durable_topic_delivers_again_what_failed(engine_url: str, fresh: str) -> None:
    """As often as the subscriber wants."""
    attempts: list[Any] = []
    async with open_iii(engine_url) as iii:

        @iii.on.queue(fresh, {"maxRetries": 2, "backoffDelayMs": 10}, function_id=f"{fresh}::f")
        async def work(data: Any) -> None:
            attempts.append(data)
            if len(attempts) < 3:
                raise ValueError("not yet")

        await work.wait_registered()
        await iii.trigger("iii::durable::publish", {"topic": fresh, "data": "job"})
        await until(lambda: len(attempts) == 3)
    assert attempts == ["job"] * 3


@within(60)
async def test_a_durable_topic_delivers_again_when_the_connection_was_lost(engine_url: str, fresh: str) -> None:
    """The handler was cancelled with it."""
    link = Link(Engine(engine_url))
    begun, cancelled = [], []
    async with link.client() as worker, open_iii(engine_url) as other:

        @worker.on.queue(fresh, {"backoffDelayMs": 100}, function_id=f"{fresh}::f")
        async def work(data: Any) -> None:
            begun.append(data)
            if len(begun) == 1:
                try:
                    await trio.sleep_forever()
                except trio.Cancelled:
                    cancelled.append(data)
                    raise

        await work.wait_registered()
        await other.trigger("iii::durable::publish", {"topic": fresh, "data": "job"})
        await until(lambda: begun)
        link.wire.cut()
        await until(lambda: len(begun) == 2)
    assert (begun, cancelled) == (["job", "job"], ["job"])


@within(30)
async def test_cron_runs_every_second(engine_url: str, fresh: str) -> None:
    """With the id of the binding."""
    told = Told()
    async with open_iii(engine_url) as iii:
        ref = iii.on.cron("* * * * * *", function_id=f"{fresh}::tick")(told)
        await ref.wait_registered()
        first, second = (await told.wait(2))[:2]
    assert first["trigger"] == "cron"
    assert first["job_id"] == ref.triggers[0].id
    assert first["scheduled_time"] < second["scheduled_time"]


@within(30)
async def test_configuration_tells_of_changes(engine_url: str, fresh: str) -> None:
    """Of one value and one kind of change."""
    told = Told()
    async with open_iii(engine_url) as iii:
        ref = iii.on.configuration(fresh, ["configuration:updated"], function_id=f"{fresh}::f")(told)
        await ref.wait_registered()
        schema = {"type": "object"}
        entry = {"id": fresh, "name": "n", "description": "d", "schema": schema, "initial_value": {"n": 1}}
        await iii.trigger("configuration::register", entry)
        await iii.trigger("configuration::set", {"id": fresh, "value": {"n": 2}})
        (event,) = await told.wait()
    assert (event["event_type"], event["old_value"], event["new_value"]) == (
        "configuration:updated",
        {"n": 1},
        {"n": 2},
    )


@within(60)
async def test_the_engine_tells_of_workers_and_functions(engine_url: str, fresh: str) -> None:
    """Of workers at once, and of functions some seconds later."""
    workers, functions = Told(), Told()
    async with open_iii(engine_url) as iii:
        await iii.on.workers_available(function_id=f"{fresh}::workers")(workers).wait_registered()
        await iii.on.functions_available(function_id=f"{fresh}::functions")(functions).wait_registered()
        async with open_iii(engine_url) as other:
            await other.register_function(f"{fresh}::new", lambda: None).wait_registered()
            came = other.statistics().worker_id
            await until(lambda: {"event": "worker_connected", "worker_id": came} in workers.all)
            await until(
                lambda: (
                    functions.all
                    and f"{fresh}::new" in {listed["function_id"] for listed in functions.all[-1]["functions"]}
                )
            )
        await until(lambda: {"event": "worker_disconnected", "worker_id": came} in workers.all)


@within(30)
async def test_a_worker_in_a_namespace_is_triggered_there(engine_url: str, fresh: str) -> None:
    """The binding inherits it, and so does the condition."""
    told = Told()
    async with open_iii(engine_url, InitOptions(namespace=fresh)) as iii:
        iii.register_function("yes", lambda: True)
        await iii.on.state(fresh, function_id="f", condition_function_id="yes")(told).wait_registered()
        await iii.trigger("state::set", {"scope": fresh, "key": "k", "value": 1})
        assert (await told.wait())[0]["new_value"] == 1


@within(60)
async def test_triggers_fire_after_a_reconnection(engine_url: str, fresh: str) -> None:
    """They are bound again, once."""
    told, link = Told(), Link(Engine(engine_url))
    async with link.client() as worker, open_iii(engine_url) as other:
        await worker.on.state(fresh, function_id=f"{fresh}::f")(told).wait_registered()
        link.wire.cut()
        await until(lambda: worker.statistics().reconnects == 1)
        for number in range(2):
            await other.trigger("state::set", {"scope": fresh, "key": "k", "value": number})
            await told.wait(number + 1)
    assert [event["new_value"] for event in told.all] == [0, 1]


@within(30)
async def test_an_unregistered_trigger_does_not_fire(engine_url: str, fresh: str) -> None:
    """Another one still does."""
    gone, stays = Told(), Told()
    async with open_iii(engine_url) as iii:
        refs = [
            iii.on.state(fresh, function_id=f"{fresh}::{name}")(told)
            for name, told in (("gone", gone), ("stays", stays))
        ]
        for ref in refs:
            await ref.wait_registered()
        refs[0].triggers[0].unregister()
        await iii.trigger("state::set", {"scope": fresh, "key": "k", "value": 1})
        await stays.wait()
    assert gone.all == []


# ---- what the engine makes of bindings ----------------------------------------------------------------------------------


@within(30)
async def test_what_the_engine_refuses_is_raised(engine_url: str, fresh: str) -> None:
    """In its own words."""
    async with open_iii(engine_url) as iii:
        ref = iii.on.cron("0 0 9 * * 0", function_id=f"{fresh}::f")(print)
        with pytest.raises(RegistrationRejectedError, match="Invalid cron expression") as caught:
            await ref.wait_registered()
    assert caught.value.code == "trigger_registration_failed"


@within(30)
async def test_an_unknown_type_waits_and_shows_in_the_listing_when_it_comes(engine_url: str, fresh: str) -> None:
    """Parked bindings are in no listing."""

    async def listed(client: III) -> set[str]:
        return {row.id for row in await client.list_triggers(include_internal=True)}

    async with open_iii(engine_url) as iii, open_iii(engine_url) as other:
        trigger = iii.register_trigger(type=fresh, function_id=f"{fresh}::f", config={"path": "/"})
        await trigger.wait_registered()
        assert trigger.error is None
        assert trigger.id not in await listed(iii)
        await other.register_trigger_type({"id": fresh, "description": ""}, Webhook()).wait_registered()
        assert trigger.id in await listed(iii)


# ---- trigger types of one's own ---------------------------------------------------------------------------------------


class Webhook(TriggerHandler[Any]):
    """A provider that refuses what has no path."""

    def __init__(self) -> None:
        self.bound: dict[str, TriggerConfig[Any]] = {}

    async def register_trigger(self, config: TriggerConfig[Any]) -> None:
        if "path" not in config.config:
            raise InvocationError("no_path", "a webhook needs a path")
        self.bound[config.id] = config

    async def unregister_trigger(self, config: TriggerConfig[Any]) -> None:
        del self.bound[config.id]


@within(60)
async def test_one_worker_provides_what_another_binds_to(engine_url: str, fresh: str) -> None:
    """Bound, fired with metadata in its namespace, refused with a code, kept over a reconnection, and taken back."""
    link, provider, told = Link(Engine(engine_url)), Webhook(), []
    async with link.client() as iii, open_iii(engine_url, InitOptions(namespace=fresh)) as other:
        ref = iii.register_trigger_type({"id": fresh, "description": "webhooks"}, provider)
        await ref.wait_registered()

        @other.on.trigger(fresh, {"path": "/a"}, function_id="hook", trigger_metadata={"m": 1})
        async def hook(data: Any, metadata: Any) -> str:
            told.append((data, metadata))
            return "done"

        await hook.wait_registered()
        await until(lambda: provider.bound)
        (binding,) = provider.bound.values()
        assert (binding.id, binding.namespace) == (hook.triggers[0].id, fresh)
        assert await ref.fire(binding, "hello") == "done"
        refused = other.register_trigger(type=fresh, function_id="hook", config={})
        await until(lambda: refused.error)
        assert isinstance(refused.error, RegistrationRejectedError)
        assert refused.error.code == "no_path"
        link.wire.cut()
        await until(lambda: iii.statistics().reconnects == 1)
        assert [*provider.bound] == [binding.id]
        hook.triggers[0].unregister()
        await until(lambda: not provider.bound)
    assert told == [("hello", {"m": 1})]


@attrs.frozen
class Page:
    """The config of a trigger type."""

    path: str


@attrs.define(eq=False)
class Pages(TriggerHandler[Page]):
    """A provider whose class says what it takes."""

    paths: list[str] = attrs.field(factory=list)

    async def register_trigger(self, config: TriggerConfig[Page]) -> None:
        self.paths.append(config.config.path)

    async def unregister_trigger(self, config: TriggerConfig[Page]) -> None:
        self.paths.remove(config.config.path)


@within(30)
async def test_a_provider_is_given_what_its_class_says_and_nothing_else(engine_url: str, fresh: str) -> None:
    """The engine lists the schema of it, and the owner of another config learns where it does not fit."""
    pages = Pages()
    async with open_iii(engine_url) as iii, open_iii(engine_url) as other:
        ref = iii.register_trigger_type({"id": fresh, "description": "pages"}, pages)
        await ref.wait_registered()
        told = await other.trigger("engine::triggers::info", {"id": fresh})
        assert told["configuration_schema"]["required"] == ["path"]
        trigger = other.register_trigger(type=fresh, function_id="f", config={"path": 7})
        await until(lambda: trigger.error)
        assert isinstance(trigger.error, RegistrationRejectedError)
        assert (trigger.error.code, "path" in str(trigger.error)) == ("invalid_input", True)
        other.register_trigger(type=fresh, function_id="f", config=Page("/a"))
        await until(lambda: pages.paths)
        assert pages.paths == ["/a"]


@within(30)
async def test_a_binding_that_the_engine_makes_waits_for_the_providers_word(engine_url: str, fresh: str) -> None:
    """engine::register_trigger raises the provider's refusal."""
    provider = Webhook()
    async with open_iii(engine_url) as iii, open_iii(engine_url) as other:
        await iii.register_trigger_type({"id": fresh, "description": ""}, provider).wait_registered()
        asked = {"trigger_type": fresh, "function_id": f"{fresh}::f"}
        made = await other.trigger("engine::register_trigger", {**asked, "config": {"path": "/"}})
        assert [*provider.bound] == [made["id"]]
        with pytest.raises(InvocationError, match="no_path: a webhook needs a path"):
            await other.trigger("engine::register_trigger", {**asked, "config": {}})
        assert await other.trigger("engine::unregister_trigger", {"id": made["id"]}) == {"removed": True}
        await until(lambda: not provider.bound)


@within(30)
async def test_a_type_that_is_taken_back_leaves_its_bindings_to_the_next_provider(engine_url: str, fresh: str) -> None:
    """Their owners learn that nobody serves them."""
    first, second = Webhook(), Webhook()
    async with open_iii(engine_url) as iii, open_iii(engine_url) as other:
        ref = iii.register_trigger_type({"id": fresh, "description": ""}, first)
        await ref.wait_registered()
        trigger = other.register_trigger(type=fresh, function_id=f"{fresh}::f", config={"path": "/"})
        await until(lambda: first.bound)
        ref.unregister()
        await until(lambda: not first.bound)
        await until(lambda: trigger.error)
        assert isinstance(trigger.error, RegistrationRejectedError)
        assert trigger.error.code == "trigger_type_not_found"
        await other.register_trigger_type({"id": fresh, "description": ""}, second).wait_registered()
        await until(lambda: second.bound)


@within(30)
async def test_services_change_nothing(engine_url: str, fresh: str) -> None:
    """The engine takes them in silence, and goes on."""
    async with open_iii(engine_url) as iii:
        iii.register_service(id=f"{fresh}::a", name=fresh, description="d", parent_service_id=fresh)
        await iii.register_function(f"{fresh}::f", lambda: 1).wait_registered()
        assert await iii.trigger(f"{fresh}::f") == 1


# ---- HTTP -------------------------------------------------------------------------------------------------------------


async def fetch(url: str, method: str = "GET", body: Any = None) -> tuple[int, Any, dict[str, str]]:
    """Status, decoded body and headers of one request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)

    def run() -> tuple[int, Any, dict[str, str]]:
        try:
            response = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            content = response.read()
            return response.status, json.loads(content) if content else None, dict(response.headers)

    return await trio.to_thread.run_sync(run)


@within(30)
async def test_http_requests_reach_their_handler(real_url: str, http_url: str, fresh: str) -> None:
    """Parameters, query, body and headers; and its answer is the response."""
    async with open_iii(real_url) as iii:

        @iii.on.http("POST", f"/{fresh}/users/:id", function_id=f"{fresh}::greet")
        async def greet(request: HttpRequest) -> HttpResponse:
            said = [request.path_params, request.query_params, request.body, request.method]
            return HttpResponse(status_code=201, body=said, headers={"x-greeting": "hello"})

        await greet.wait_registered()
        status, body, headers = await fetch(f"{http_url}/{fresh}/users/7?a=b", "POST", {"n": 1})
        assert (status, body, headers["x-greeting"]) == (201, [{"id": "7"}, {"a": "b"}, {"n": 1}, "POST"], "hello")
        greet.unregister()
        await iii.register_function(f"{fresh}::barrier", print).wait_registered()
        assert (await fetch(f"{http_url}/{fresh}/users/7", "POST", {}))[0] == 404


@within(30)
async def test_http_routes_have_conditions_middleware_and_metadata(real_url: str, http_url: str, fresh: str) -> None:
    """A condition that says no is status 422; a middleware may answer instead of the handler."""

    async def show(request: HttpRequest, metadata: Any) -> dict[str, Any]:
        return {"body": metadata}

    answer = {"action": "respond", "response": {"status_code": 401, "body": "who are you?"}}
    async with open_iii(real_url) as iii:
        iii.register_function(f"{fresh}::ok", lambda request: request["query_params"].get("ok") == "1")
        iii.register_function(f"{fresh}::guard", lambda _: answer)
        ref = iii.on.http(
            "GET",
            f"{fresh}/a",
            function_id=f"{fresh}::show",
            condition_function_id=f"{fresh}::ok",
            trigger_metadata={"m": 1},
        )(show)
        config = HttpTriggerConfig(api_path=f"/{fresh}/b", middleware_function_ids=[f"{fresh}::guard"])
        await iii.register_trigger(function_id=ref.id, config=config).wait_registered()
        await ref.wait_registered()
        assert (await fetch(f"{http_url}/{fresh}/a"))[0] == 422
        assert (await fetch(f"{http_url}/{fresh}/a?ok=1"))[:2] == (200, {"m": 1})
        assert (await fetch(f"{http_url}/{fresh}/b"))[:2] == (401, "who are you?")


@within(30)
async def test_a_route_of_the_same_method_and_shape_is_refused_by_the_engine(
    real_url: str, http_url: str, fresh: str
) -> None:
    """Where another worker has it, which nobody here can know."""
    async with open_iii(real_url) as iii, open_iii(real_url) as other:
        await iii.on.http("GET", f"/{fresh}/:a", function_id=f"{fresh}::a")(print).wait_registered()
        refused = other.on.http("GET", f"/{fresh}/:b", function_id=f"{fresh}::b")(print)
        with pytest.raises(RegistrationRejectedError, match="conflicts with already-registered route"):
            await refused.wait_registered()


# ---- functions over HTTP ----------------------------------------------------------------------------------------------


async def serve_once(stream: trio.SocketStream, requests: list[str]) -> None:
    """A web server for one request, which says what it was sent."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive_some()
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < sum(lengths):
        body += await stream.receive_some()
    requests.append(head.decode())
    answer = json.dumps({"got": json.loads(body)["n"]}).encode()
    await stream.send_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
        % (len(answer), answer)
    )
    await stream.aclose()


@within(30)
@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (None, "x-iii-function-path"),
        (HttpAuthHmac(secret_key="HOME"), "x-iii-signature: sha256="),
        (HttpAuthBearer(token_key="HOME"), "authorization: bearer "),
        (HttpAuthApiKey(header="x-key", value_key="HOME"), "x-key: "),
    ],
    ids=["none", "hmac", "bearer", "api_key"],
)
async def test_the_engine_runs_a_function_over_http(real_url: str, fresh: str, auth: Any, header: str) -> None:
    """With its method, headers and authentication; the secret is a variable of the engine's own environment."""
    requests: list[str] = []
    async with open_iii(real_url) as iii, trio.open_nursery() as nursery:
        handler = functools.partial(serve_once, requests=requests)
        (listener,) = await nursery.start(functools.partial(trio.serve_tcp, handler, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        url = f"http://127.0.0.1:{port}/score"
        config = HttpInvocationConfig(url=url, method="PUT", headers={"x-team": "a"}, auth=auth)
        ref = iii.register_function(f"{fresh}::score", config)
        await ref.wait_registered()
        assert await iii.trigger(ref.id, {"n": 7}) == {"got": 7}
        ref.unregister()
        with pytest.raises(InvocationError, match="function_not_found"):
            await iii.trigger(ref.id, {"n": 7})
        nursery.cancel_scope.cancel()
    (request,) = requests
    assert request.startswith("PUT /score ")
    assert "x-team: a" in request.lower()
    assert header in request.lower()


@within(30)
async def test_a_function_over_http_that_the_engine_does_not_like_is_missing(real_url: str, fresh: str) -> None:
    """wait_registered cannot see it: nobody is told."""
    async with open_iii(real_url) as iii:
        auth = HttpAuthBearer(token_key=f"NO_SUCH_VARIABLE_{fresh}")
        ref = iii.register_function(f"{fresh}::f", HttpInvocationConfig(url="http://localhost:1/", auth=auth))
        await ref.wait_registered()
        with pytest.raises(InvocationError, match="function_not_found"):
            await iii.trigger(ref.id)


# ---- log and trace ----------------------------------------------------------------------------------------------------


@within(30)
async def test_the_log_is_told_record_by_record(real_url: str, fresh: str) -> None:
    """Of one level alone."""
    told = Told()
    async with open_iii(real_url) as iii:
        await iii.on.log("error", function_id=f"{fresh}::log")(told).wait_registered()
        for level in ("warn", "error"):
            await iii.trigger(f"engine::log::{level}", {"message": f"{fresh} {level}"})
        await until(lambda: [record for record in told.all if fresh in str(record["body"])])
    ours = [record for record in told.all if fresh in str(record["body"])]
    # The engine tells of most records twice (docs/engine.md, "Triggers").
    assert {record["severity_text"] for record in ours} == {"ERROR"}


@within(30)
async def test_the_engine_takes_bindings_to_traces(real_url: str, fresh: str) -> None:
    """It lists them with their config."""
    async with open_iii(real_url) as iii:
        ref = iii.on.trace(fresh, "error", function_id=f"{fresh}::trace")(print)
        await ref.wait_registered()
        info = await iii.trigger("engine::registered-triggers::info", {"id": ref.triggers[0].id})
        assert (info["trigger_type"], info["config"]) == ("trace", {"service_name": fresh, "status": "error"})
