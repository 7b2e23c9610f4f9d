"""What a part of the engine brings along, and what it may use: how state, pub/sub or cron plug into the core.

A part is one in-process worker of the real engine. Its module has a function that takes the `Host` and returns a `Part`:
its functions and its trigger types. The core lists these functions in `PARTS` and knows nothing else of them.

* A function is a `registry.Function` with `run` and `worker`. `run` returns the result, or raises `Refusal`, or returns a
  `registry.Later` that is settled when the answer is known.
* A trigger type is a `triggers.TriggerType` with `worker`. Its `accept` is asked before a binding becomes live, and raises
  `BindingRefused` with the engine's words; its `release` is told when the binding goes. A part that keeps what it reads
  from a config keeps it by the binding's id; what is live is also found with `host.triggers.live(type_id)`.
* To fire, `host.triggers.deliver(binding, payload)` calls one binding's target, after its condition if it is given one,
  and `host.triggers.deliver_in_turn` calls several, each when the one before it is done. `host.calls.call` is the engine's
  own call of any function, for deliveries that are not that simple.
* `host.clock` has the time and the alarms, and `host.channels` the channels.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from iii_trio._embedded.channels import Channels
from iii_trio._embedded.clock import Clock
from iii_trio._embedded.invocations import Invocations
from iii_trio._embedded.registry import Function, Registry
from iii_trio._embedded.triggers import Triggers, TriggerType


@attrs.frozen(kw_only=True)
class Host:
    """The rest of the engine, as its parts see it."""

    clock: Clock
    registry: Registry
    calls: Invocations
    triggers: Triggers
    channels: Channels
    new_id: Callable[[], str]


@attrs.frozen(kw_only=True)
class Part:
    """What one in-process worker offers."""

    worker: str
    """Its name in `engine::workers::list`, and the `worker` of what it offers."""
    description: str
    internal: bool = False
    """Whether `engine::workers::info` calls it so."""
    functions: tuple[Function, ...] = ()
    trigger_types: tuple[TriggerType, ...] = ()
