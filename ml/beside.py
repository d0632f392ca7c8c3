"""Work that another core does meanwhile, in a forked process: it has the data and the libraries already."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from tables import InputError

Result = TypeVar("Result")
# They end the process that asked, which ends this one.
SIGNALS = {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_DFL}


def answer(sender: Connection, work: Callable[..., Any], given: tuple[Any, ...]) -> None:
    """Send what the work returns, or the error it raises."""
    for number, handler in SIGNALS.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        sender.send((work(*given), None))
    except Exception as error:
        sender.send((None, error))


class Beside(Generic[Result]):
    """A call that runs from now on; it ends with this process at the latest."""

    def __init__(self, work: Callable[..., Result], *given: Any) -> None:
        fork = multiprocessing.get_context("fork")
        self._answer, sender = fork.Pipe(duplex=False)
        self._process = fork.Process(target=answer, args=(sender, work, given), daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the new process has its own handlers
        self._process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        sender.close()  # so that the answer ends with the process that sends it

    def result(self) -> Result:
        """What the call returns, when it has; raises what it raised, or InputError when its process was killed."""
        try:
            found, error = self._answer.recv()
        except EOFError as ended:
            self._process.join()
            if self._process.exitcode != -signal.SIGKILL:
                raise
            raise InputError(
                "cross-validation was killed for want of memory: give the job more (platform_job_memory), or --cv 0"
            ) from ended
        if error:
            raise error
        return found  # type: ignore[no-any-return]
