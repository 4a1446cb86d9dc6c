"""One engine behind a queue, for many connections.

An engine makes ``info.concurrent`` answers at once; further turns wait in the order in which they
were asked, and a bounded number may. Each turn is a :class:`Run`: a task that has steps pulled
through ``run_step``, in production on a single worker thread. The thread takes calls in order, so
that the runs under way are pulled in turn, a burst each (up to a step whose successor takes time);
an engine that batches makes one pass of all of them. A run that is alone is pulled on and on: each
step is posted to the loop, because a round trip between threads per step costs as much as a fast
chip's token takes. The computation may run ahead of the reader by :data:`AHEAD` steps, so that
pacing and computing overlap; a run whose reader is further behind is left out until it reads on.

Cancelling a run never interrupts a step: the mark is seen after the current one, the generator is
closed on the same thread, and the next turn is let in. An engine that only waits for another server
(:class:`AsyncEngine`) needs no thread: its steps come on the loop, and a cancel reaches it at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from sparkcode.clock import Clock
from sparkcode.engine.base import AsyncEngine, Engine, EngineInfo, GenerateRequest, Step
from sparkcode.errors import EngineError
from sparkcode.wafer.pacer import PaceMode

AHEAD: Final = 256
"""Steps that may be computed before the reader has taken them."""

WAITING: Final = 256
"""Turns that may wait for the engine; one more is refused."""

SWITCH_INTERVAL_SECONDS: Final = 0.0005
"""For ``sys.setswitchinterval``: the default of 5 ms is how long the engine's thread could keep a
frame from leaving."""

logger = logging.getLogger(__name__)


class StepRunner(Protocol):
    """How one blocking call of the engine is run."""

    def __call__(self, call: Callable[[], Any], /) -> Awaitable[Any]: ...

    def post(self, call: Callable[[], None], /) -> object:
        """Has the loop run ``call``; for use inside a call of the engine."""
        ...


class _Inline:
    """Runs calls on the loop: for engines that cost no time, and for virtual clocks."""

    async def __call__(self, call: Callable[[], Any], /) -> Any:
        await asyncio.sleep(0)
        return call()

    def post(self, call: Callable[[], None], /) -> None:
        call()


run_inline: Final[StepRunner] = _Inline()


class WorkerThread:
    """Runs calls on one thread of its own, in order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, call: Callable[[], Any], /) -> Any:
        self._loop = asyncio.get_running_loop()
        return await self._loop.run_in_executor(self._pool, call)

    def post(self, call: Callable[[], None], /) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(call)

    def close(self) -> None:
        """Ends the thread after the call that it is in."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Computed:
    """A step and the clock's time, in seconds, at which it was ready."""

    step: Step
    at: float


class Run:
    """One turn on the engine; made by :meth:`Hub.start`.

    ``ready`` holds computed steps, oldest first, for the reader to take. ``changed`` is set when
    there is news: a step, the end, or a :meth:`notify`.
    """

    def __init__(self, asked_at: float) -> None:
        self.asked_at: Final = asked_at
        self.started_at: float | None = None
        """When the engine became free for this turn; None while it waits."""
        self.ready: deque[Computed] = deque()
        self.changed = asyncio.Event()
        self.finished = False
        self.error: EngineError | None = None
        self._room = asyncio.Event()
        self._cancelled = False
        self._hook: Callable[[], object] | None = None

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def when_cancelled(self, call: Callable[[], object]) -> None:
        """``call`` is called by :meth:`cancel`."""
        self._hook = call

    def cancel(self) -> None:
        """No more steps are wanted; takes effect within one step."""
        self._cancelled = True
        self._room.set()
        if self._hook is not None and not self.finished:
            self._hook()

    def notify(self) -> None:
        """Wakes the reader."""
        self.changed.set()

    def take(self) -> Computed:
        """The oldest computed step; makes room for another."""
        computed = self.ready.popleft()
        self._room.set()
        return computed

    def deliver(self, computed: Computed) -> None:
        """Hands a step to the reader."""
        self.ready.append(computed)
        self.changed.set()

    async def room(self) -> int:
        """Steps that may be computed now; waits while the reader is too far behind."""
        while len(self.ready) >= AHEAD and not self.cancelled:
            self._room.clear()
            await self._room.wait()
        return AHEAD - len(self.ready)

    def end(self, error: EngineError | None) -> None:
        self.error = error
        self.finished = True
        self.changed.set()


class _Steps:
    """An engine's steps, asked for with the first of them; all on the engine's thread."""

    def __init__(self, make: Callable[[], Generator[Step, None, None]]) -> None:
        self._make = make
        self._steps: Generator[Step, None, None] | None = None
        self.open = False
        """Whether there is a generator that has not ended."""

    def __next__(self) -> Step:
        if self._steps is None:
            self._steps = self._make()
            self.open = True
        try:
            return next(self._steps)
        except BaseException:
            self.open = False
            raise

    def __iter__(self) -> Iterator[Step]:
        return self

    def close(self) -> None:
        if self._steps is not None:
            self._steps.close()
        self.open = False


def _pull_some(
    steps: Iterator[Step],
    run: Run,
    post: Callable[[Callable[[], None]], object],
    deliver: Callable[[Step], None],
    *,
    limit: int,
    crowded: Callable[[], bool],
) -> bool:
    """Posts up to ``limit`` steps, only one burst while it is ``crowded``; whether there may be
    more. Runs on the engine's thread.
    """
    for _ in range(limit):
        if run.cancelled:
            return False
        step = next(steps, None)
        if step is None:
            return False
        post(partial(deliver, step))
        if not step.more and crowded():
            return True
    return True


class Hub:
    """The engine's queue; ``pace``, ``dilation`` and ``clock`` are what its responses are released
    by.

    ``run_step`` is None for an :class:`AsyncEngine`.
    """

    def __init__(
        self,
        engine: Engine | AsyncEngine,
        *,
        pace: PaceMode,
        clock: Clock,
        run_step: StepRunner | None,
        waiting: int = WAITING,
        dilation: float = 1.0,
    ) -> None:
        self.pace: Final = pace
        self.dilation: Final = dilation
        self.clock: Final = clock
        self._engine = engine
        self._run_step = run_step
        self._waiting = waiting
        self._concurrent: Final = engine.info.concurrent
        self._turn = asyncio.Semaphore(self._concurrent)
        self._tasks: dict[asyncio.Task[None], Run] = {}

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    @property
    def load(self) -> int:
        """Turns that run or wait."""
        return len(self._tasks)

    @property
    def full(self) -> bool:
        """Whether one more turn would be refused."""
        return len(self._tasks) >= self._waiting + self._concurrent

    def _crowded(self) -> bool:
        """Whether a run has to let others have their turn. Called on the engine's thread."""
        return self._concurrent > 1 and len(self._tasks) > 1

    def start(self, request: GenerateRequest, *, warm: bool = False) -> Run:
        """Queues one turn; EngineError ``server_is_overloaded`` when too many wait."""
        if self.full:
            raise EngineError(
                f"{len(self._tasks)} turns are queued already; try again later",
                "server_is_overloaded",
            )
        run = Run(self.clock.now())
        make = partial(self._engine.warm if warm else self._engine.generate, request)
        task = asyncio.create_task(self._work(run, make))
        self._tasks[task] = run
        task.add_done_callback(self._done)
        return run

    async def close(self) -> None:
        """Cancels every turn and waits until the engine is idle."""
        for run in self._tasks.values():
            run.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, run: Run, make: Callable[[], Any]) -> None:
        async with self._turn:
            if run.cancelled:
                return
            run.started_at = self.clock.now()
            if self._run_step is None:
                await self._follow(run, make)
            else:
                await self._pull(run, make, self._run_step)

    async def _pull(
        self, run: Run, make: Callable[[], Generator[Step, None, None]], run_step: StepRunner
    ) -> None:
        """The steps of an engine that computes."""
        steps = _Steps(make)
        deliver = partial(self._post, run)
        try:
            more = True
            while more and not run.cancelled:
                pull = partial(
                    _pull_some, steps, run, run_step.post, deliver, crowded=self._crowded
                )
                more = await run_step(partial(pull, limit=await run.room()))
                # What was posted from this very thread arrives before the task goes on.
                await asyncio.sleep(0)
        finally:
            # Closing is a call of its own on the engine's thread; what has ended needs none.
            if steps.open:
                await run_step(steps.close)

    async def _follow(self, run: Run, make: Callable[[], AsyncGenerator[Step, None]]) -> None:
        """The steps of an engine that waits; it is cancelled in the middle of its waiting."""
        task = asyncio.current_task()
        assert task is not None
        run.when_cancelled(task.cancel)
        async with aclosing(make()) as steps:
            async for step in steps:
                self._post(run, step)
                await run.room()

    def _post(self, run: Run, step: Step) -> None:
        run.deliver(Computed(step, self.clock.now()))

    def _done(self, task: asyncio.Task[None]) -> None:
        run = self._tasks.pop(task)
        failure = None if task.cancelled() else task.exception()
        if failure is None and (run.cancelled or not task.cancelled()):
            run.end(None)
            return
        if isinstance(failure, EngineError):
            run.end(failure)
            return
        # A fault in an engine must end its own turn only, and must not be silent.
        logger.error("the engine failed", exc_info=failure)
        run.end(EngineError(f"the engine failed: {type(failure).__name__}"))
