"""Child processes, which load code of their own: those that have ended, and the workers that live on.

Sources: getrusage(2); multiprocessing.active_children.
"""

from __future__ import annotations

import sys


def children_ended() -> int:
    """What is another after a child process was waited for; always 0 where the platform does not say."""
    try:
        import resource
    except ImportError:  # Windows has none
        return 0
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt  # every process has page faults


def are_there() -> bool:
    """Whether there are processes of multiprocessing, or of what builds on it, that nobody has waited for."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.active_children():
        return True
    # The children of a fork server are its own, and it outlives them.
    server = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    return getattr(server, "_forkserver_pid", None) is not None
