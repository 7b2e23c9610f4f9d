"""Whether the engine has this worker in the namespace that it asked for.

It waits some seconds for the register call and then settles for `default`. Retiring an old connection may take as long, and
the register call that comes too late succeeds all the same (docs/engine.md, "Namespaces"). So a worker that wants another
namespace asks where it is.
"""

from __future__ import annotations

from typing import Any, Final

WORKERS_INFO: Final = "engine::workers::info"
DEFAULT_NAMESPACE: Final = "default"


def whereabouts(name: str) -> dict[str, str]:
    """The question whether a worker of this name is in `default`; that none is there is an answer too."""
    return {"name": name, "namespace": DEFAULT_NAMESPACE}


def is_in_default(answer: Any, worker_id: str | None) -> bool:
    """Whether the answer proves that this worker is there, and not another one of the same name."""
    worker = answer.get("worker") if isinstance(answer, dict) else None
    return isinstance(worker, dict) and worker_id is not None and worker.get("id") == worker_id
