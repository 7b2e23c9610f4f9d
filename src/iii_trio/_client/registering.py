"""What a worker registers beside functions: bindings, trigger types, services."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import attrs

from iii_trio._client.calling import Caller
from iii_trio._client.handles import Trigger
from iii_trio._client.namespaces import target_namespace
from iii_trio._handlers.providers import Providers
from iii_trio._session.registry import Registration
from iii_trio._session.session import Session
from iii_trio._values.building import build
from iii_trio._values.services import RegisterServiceInput
from iii_trio._values.trigger_types import RegisterTriggerTypeInput, TriggerHandler
from iii_trio._values.triggers import RegisterTriggerInput
from iii_trio._wire.messages import RegisterService, RegisterTrigger, RegisterTriggerType
from iii_trio.errors import ClientClosed

C = TypeVar("C")

_QUEUE_TYPE: Final = "durable:subscriber"
"""What the references call ``queue``."""


@attrs.frozen
class Registering:
    """Registers for one client; its methods are those of `III` under the same names."""

    session: Session
    caller: Caller
    providers: Providers

    def register_trigger(self, trigger: RegisterTriggerInput | Mapping[str, Any] | None, **keywords: Any) -> Trigger:
        """See `III.register_trigger`."""
        self._check_open()
        wanted = build(RegisterTriggerInput, trigger, **keywords)
        session = self.session
        frame = RegisterTrigger(
            # One key space for all workers, and whoever guesses an id can take the binding away (docs/engine.md, "Triggers").
            id=str(uuid.uuid4()),
            trigger_type=_QUEUE_TYPE if wanted.type == "queue" else wanted.type,
            function_id=wanted.function_id,
            config={} if wanted.config is None else wanted.config,
            metadata=wanted.metadata,
            namespace=target_namespace(
                wanted.function_id, wanted.namespace, session.namespace, session.registrar.registry
            ),
            trigger_namespace=wanted.trigger_namespace,
        )
        return Trigger(session, session.registrar.register(frame), frame)

    def register_trigger_type(
        self, trigger_type: RegisterTriggerTypeInput | Mapping[str, Any], handler: TriggerHandler[C]
    ) -> tuple[Registration, RegisterTriggerType]:
        """See `III.register_trigger_type`."""
        self._check_open()
        wanted = build(RegisterTriggerTypeInput, trigger_type)
        frame = RegisterTriggerType(**attrs.asdict(wanted, recurse=False))
        return self.session.registrar.register(frame, handler), frame

    def unregister_trigger_type(self, trigger_type: RegisterTriggerTypeInput | Mapping[str, Any] | str) -> None:
        """See `III.unregister_trigger_type`."""
        type_id = trigger_type if isinstance(trigger_type, str) else build(RegisterTriggerTypeInput, trigger_type).id
        registration = self.session.registrar.registry.find_type(type_id)
        if registration is not None:
            self.session.registrar.unregister(registration)
            self.providers.drop(type_id)

    def register_service(self, service: RegisterServiceInput | Mapping[str, Any] | None, **keywords: Any) -> None:
        """See `III.register_service`."""
        self._check_open()
        wanted = build(RegisterServiceInput, service, **keywords)
        self.session.registrar.register(
            RegisterService(wanted.id, wanted.name or "", wanted.description, wanted.parent_service_id)
        )

    def _check_open(self) -> None:
        self.caller.check_open(None)
        if self.session.is_draining:
            raise ClientClosed("SHUTDOWN", "this client is about to end, and registers nothing new")
