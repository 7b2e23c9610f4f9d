"""The trigger type `cron`: bindings that fire at times (docs/engine.md, "Cron").

A job waits for the end of its run before it looks for the next time, so runs of one job never overlap, and times that
pass meanwhile are skipped.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import attrs

from iii_trio._embedded import schemas
from iii_trio._embedded.clock import Alarm
from iii_trio._embedded.cron_schedule import Schedule, Unreadable, parse
from iii_trio._embedded.parts import Host, Part
from iii_trio._embedded.triggers import Binding, BindingRefused, TriggerType

WORKER: Final = "iii-cron"
CRON: Final = "cron"


def cron(host: Host) -> Part:
    """What `iii-cron` offers."""
    jobs = _Jobs(host)
    return Part(
        worker=WORKER,
        description="Schedule functions with cron expressions.",
        trigger_types=(
            TriggerType(
                id=CRON,
                description="Cron-based scheduled triggers",
                trigger_request_format=schemas.CRON_CONFIG,
                call_request_format=schemas.CRON_CALL,
                worker=WORKER,
                accept=jobs.begin,
                release=jobs.end,
            ),
        ),
    )


@attrs.define(eq=False)
class _Job:
    binding: Binding
    schedule: Schedule
    alarm: Alarm | None = None
    """None while it runs, and when there is no time left."""


@attrs.define(eq=False)
class _Jobs:
    _host: Host
    _jobs: dict[str, _Job] = attrs.field(factory=dict, init=False)

    def begin(self, binding: Binding) -> None:
        expression = binding.config.get("expression") if isinstance(binding.config, dict) else None
        if not isinstance(expression, str) or not expression:
            raise BindingRefused("Cron expression is required")
        if binding.id in self._jobs:
            raise BindingRefused(f"Cron job '{binding.id}' is already registered")
        try:
            schedule = parse(expression)
        except Unreadable as error:
            raise BindingRefused(f"Invalid cron expression '{expression}': {error}") from None
        job = self._jobs[binding.id] = _Job(binding, schedule)
        self._wait(job, self._now())

    def end(self, binding: Binding) -> None:
        job = self._jobs.pop(binding.id, None)
        if job is not None and job.alarm is not None:
            job.alarm.cancel()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._host.clock.time_of_day(), UTC)

    def _wait(self, job: _Job, since: datetime) -> None:
        scheduled = job.schedule.next_after(since)
        job.alarm = None
        if scheduled is not None:
            clock = self._host.clock
            deadline = clock.now + (scheduled.timestamp() - clock.time_of_day())
            job.alarm = clock.at(deadline, partial(self._run, job, scheduled))

    def _run(self, job: _Job, scheduled: datetime) -> None:
        payload = {
            "trigger": CRON,
            "job_id": job.binding.id,
            "scheduled_time": scheduled.isoformat(),
            "actual_time": self._now().isoformat(),
        }

        def go_on(*_: Any) -> None:
            if self._jobs.get(job.binding.id) is job:
                # The clock may be a hair before the time that it woke up for, and that time has had its turn.
                self._wait(job, max(self._now(), scheduled))

        job.alarm = None
        self._host.triggers.deliver(job.binding, payload, condition=job.binding.condition, done=go_on)
