"""The conversation with an engine over one link, and the edits that come of it.

One task, ``run``, takes what happens on the link out of one inbox (:mod:`.lifeline`). The user's
calls (``submit``, ``interrupt`` ...) take effect on the visible state at once and leave the wire to
the task, which they wake. Both run on one loop, so nothing is locked.

    connecting ──dialled──> ready ──cut──> reconnecting ──dialled──> ready
        └──3 failures──> down (still dialling) ──dialled──> ready          any ──close──> closed

After a cut the next request carries the full context, and a turn that was cut asks again, three
times at most: its answer begins anew below a mark, and what had landed stays visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from sparkcode.assistant.context import Conversation, Exchange, history_items, only_read
from sparkcode.assistant.edits import Target, places
from sparkcode.assistant.flight import (
    BUSY_SECONDS,
    DOWN_AFTER,
    FIRST_EVENT_SECONDS,
    LINK_LIMIT,
    RENEW_SECONDS,
    RESENDS,
    STOP_SECONDS,
    Flight,
    Flights,
    ended,
    error_code,
    is_terminal,
    stop,
)
from sparkcode.assistant.helping import EMBEDDED, Batch, at_work
from sparkcode.assistant.lifeline import Late, Lifeline, Lost, Message, Received, Unreachable, Up
from sparkcode.assistant.tries import Candidate, Question, Tries
from sparkcode.assistant.turn import (
    Turn,
    begin,
    continued,
    failed,
    fold,
    interrupted,
    resumed,
    used,
)
from sparkcode.assistant.visible import Visible
from sparkcode.assistant.workspace import Buffer, Workspace
from sparkcode.clock import Clock
from sparkcode.errors import UsageError
from sparkcode.link.chain import Chain
from sparkcode.link.transport import Dialer, Peer
from sparkcode.protocol.events import ServerEvent


class Session(Visible):
    """See the module. ``attempts`` limits how often in a row dialling may fail (None: no limit).
    With ``tries`` each edit is checked, and better answers are looked for while it has faults. With
    ``helping`` an engine other than the embedded one is offered tools."""

    def __init__(
        self,
        *,
        dialer: Dialer,
        clock: Clock,
        workspace: Workspace,
        model: str = "spark",
        attempts: int | None = None,
        tries: Tries | None = None,
    ) -> None:
        super().__init__(clock, workspace, tries)
        self._clock = clock
        self._line = Lifeline(dialer, clock, attempts=attempts)
        self._flights = Flights()
        self._conversation = Conversation(model)
        self._chain = Chain()
        self._exchange: Exchange | None = None
        self._unsent = False
        self._resent = 0
        self._running = False
        self._age = Flight(turn=0)

    def open(self, path: str) -> Buffer:
        """Read a file of the workspace; from now on it travels with every question."""
        buffer = self.edits.open(path)
        self._touch()
        return buffer

    def submit(
        self,
        instruction: str,
        target: Target | None = None,
        *,
        also: Sequence[Target] = (),
        about: Target | None = None,
    ) -> Turn:
        """Ask for an edit of ``target``, or without one a question, ``about`` some lines or not.

        It ends the running turn and rejects a pending edit, and waits until the link is up.
        UsageError for an empty instruction or a region outside its file.
        """
        asked = instruction.encode(errors="replace").decode().strip()
        if not asked:
            raise UsageError("the instruction is empty; say what to do")
        if self.link.state == "closed":
            raise UsageError("the session is closed")
        targets = () if target is None else (target, *also)
        blocks = self.edits.blocks(targets, about, asked)
        self.interrupt()
        if self.edit == "pending":
            self.reject()
        self.edits.start(targets)
        self.improving.forget()
        self._exchange = self._conversation.ask(asked, blocks)
        self._past = self.turns
        turn = begin(len(self._past) + 1, asked, places(targets), only_read(blocks))
        self._turn = turn
        self._unsent, self._resent = True, 0
        self._wake()
        return turn

    def interrupt(self) -> bool:
        """Stop the running turn, or the search for a better answer; False if there is neither.

        What landed stays visible.
        """
        if self.improving.stop():
            return True
        if self._turn is None or self._turn.final:
            return False
        self._turn = interrupted(self._turn)
        self.meter.ended(self._clock.now())
        self.edits.stop()
        if self.helping is not None:
            self.helping.stop()
        if self._unsent and self._exchange is not None and not self._exchange.earlier:
            self._conversation.forget(self._exchange)
        self._unsent = False
        self._flights.drop(self._turn.number)
        self._wake()
        return True

    def accept(self) -> tuple[str, ...]:
        """Write the pending edit; the paths that changed.

        It ends the turn where that goes on. PatchApplyError or WorkspaceError leave the disk
        unchanged and the edit pending.
        """
        if self.edit == "pending":
            self.interrupt()
        try:
            plan = self.edits.accept()
        finally:
            self._touch()
        if self._exchange is not None:
            self._exchange.outcome = plan.summary
        return tuple(plan.after)

    def reject(self) -> None:
        """Refuse the pending edit, and end the turn; UsageError if there is none."""
        if self.edit == "pending":
            self.interrupt()
        self.edits.reject()
        self._touch()

    def allow(self, yes: bool) -> None:
        """The user's word on the command in ``asking``."""
        if self.helping is not None:
            self.helping.decide(yes)
        self._touch()

    def undo(self) -> tuple[str, ...]:
        """Restore the newest accepted edit's files byte for byte; their paths."""
        self._touch()
        return self.edits.undo()

    async def close(self) -> None:
        """Stop the turn and the link; returns once ``run`` is over."""
        self.interrupt()
        self._set_link(state="closed", error="")
        self._line.close()
        while self._running:
            await self.changed(self.revision)

    async def run(self) -> None:
        """Dial, converse, reconnect, until ``close``; trouble with the link is never raised."""
        self._running = True
        try:
            async with self._line as line:
                async for message in line:
                    await self._handle(message)
        finally:
            self._running = False
            self.interrupt()
            self._touch()

    async def _handle(self, message: Message) -> None:
        match message:
            case Up(peer=peer):
                await self._connected(peer)
            case Unreachable():
                self._unreachable(message)
            case Received(event=event, at=at):
                await self._received(event, at)
            case Lost():
                self._lost(message)
            case Late(flight=flight) if flight is self._age:
                await self._renew()
            case Late(flight=flight) if flight.dropped and flight in self._flights:
                await self._line.recycle("the engine did not stop")
            case Late(flight=flight) if not flight.heard and flight in self._flights:
                self._fail(flight, f"no answer within {FIRST_EVENT_SECONDS:.0f} s")
                await self._line.recycle("the engine did not answer")
            case _:
                pass
        await self._flush()

    async def _flush(self) -> None:
        """Send what waits: interrupts first, then the newest question."""
        for flight in self._flights:
            if flight.dropped and flight.response_id and not flight.told:
                flight.told = True
                await self._line.send(stop(flight))
                self._line.watch(flight, STOP_SECONDS)
        if self._unsent and self._turn is not None and self._line.up:
            self._unsent = False
            flight = Flight(self._turn.number, self._exchange)
            self._flights.add(flight)
            if self._turn.round > 1 or self._turn.uses:
                self.meter.resumed()
            elif not self._resent:
                self.meter.sent(self._clock.now())
            await self._line.send(self._chain.request(self._conversation.request()))
            self._line.watch(flight, FIRST_EVENT_SECONDS)

    async def _connected(self, peer: Peer) -> None:
        # HTTP without stored responses has nothing to continue from, nor to warm up.
        persistent = peer.kind != "sse"
        self._flights = Flights()
        self._chain.reset(incremental=persistent)
        self._conversation.able = self.helping is not None and peer.maker != EMBEDDED
        self._set_link(state="ready", peer=peer, error="")
        if peer.kind in ("websocket", "memory"):
            self._age = Flight(turn=0)
            self._line.watch(self._age, RENEW_SECONDS)
        if persistent and not self._unsent:
            self._flights.add(Flight(turn=0))
            await self._line.send(self._chain.request(self._conversation.warm_up()))

    async def _renew(self) -> None:
        """The link is old: make a new one, between two turns."""
        if self.busy or len(self._flights):
            self._line.watch(self._age, BUSY_SECONDS)
        else:
            await self._line.recycle("the link is renewed before the engine ends it")

    def _unreachable(self, message: Unreachable) -> None:
        down = message.final or message.failures >= DOWN_AFTER
        self._set_link(state="down" if down else self.link.state, error=message.error)
        if message.final and self._turn is not None:
            self._show(failed(self._turn, message.error))

    def _lost(self, lost: Lost) -> None:
        flights, self._flights = self._flights, Flights()
        count = self.link.reconnects + 1
        self._set_link(state="reconnecting", reconnects=count, error=lost.reason)
        for flight in flights:
            if (lost.faulty and flight.heard) or not self._again(flight, RESENDS):
                self._fail(flight, f"the link was lost: {lost.reason}")
            elif flight.heard and self._turn is not None:
                self._turn = resumed(self._turn, "the link was cut; asked again")
                self.edits.again()

    async def _received(self, event: ServerEvent, at: float) -> None:
        flight = self._flights.receive(event)
        if flight is None:
            return
        code = error_code(event)
        if not self._repaired(code, flight):
            if self._shown(flight) and self._turn is not None:
                self.meter.observe(at, event)
                self._show(self._going(fold(self._turn, event)))
            if is_terminal(event):
                self._landed(flight, event)
                if self._turn is not None and self._turn.phase == "working":
                    self._help(self._turn)
        if code == LINK_LIMIT:
            await self._line.recycle("the engine limits how long a link lives")

    def _repaired(self, code: str, flight: Flight) -> bool:
        """Whether the failed question is asked again, because other context or link will do."""
        match code:
            case "previous_response_not_found" | "websocket_connection_limit_reached":
                return self._again(flight)
            case "context_length_exceeded" if self._conversation.long and self._again(flight):
                self._conversation.forget_all_but_newest()
                return True
        return False

    def _again(self, flight: Flight, most: int = 1) -> bool:
        """Send the question of ``flight`` once more, if it is still wanted."""
        if self._resent >= most or not self._shown(flight):
            return False
        self._unsent, self._resent = True, self._resent + 1
        return True

    def _landed(self, flight: Flight, event: ServerEvent) -> None:
        """A response has ended: make it history, or forget its question."""
        response, exchange = ended(event), flight.exchange
        if exchange is not None and response is not None:
            exchange.output = flight.items or tuple(response.output)
        elif exchange is not None and not flight.dropped:
            self._conversation.forget(exchange)
        if response is not None and not len(self._flights):
            self._chain.completed(response, history_items(exchange.output if exchange else ()))

    def _fail(self, flight: Flight, error: str) -> None:
        if self._shown(flight) and self._turn is not None and flight.exchange is not None:
            self.meter.ended(self._clock.now())
            self._show(failed(self._turn, error))
            self._conversation.forget(flight.exchange)

    def _shown(self, flight: Flight) -> bool:
        """Whether ``flight`` carries the running turn."""
        return self.busy and self._turn is not None and flight.turn == self._turn.number

    def _going(self, turn: Turn) -> Turn:
        """``turn``, and if its response is complete but not its last one, at work."""
        peer = self.link.peer
        if peer is None or not self._conversation.able or self.edits.repeats(turn.patch):
            return turn
        return at_work(turn, peer)

    def _help(self, turn: Turn) -> None:
        """Do what the response asked for, and send what it brings."""
        assert self.helping is not None
        patched = self.edits.settle() if turn.patch else ""
        self._turn = continued(turn)
        batch = Batch(turn.calls, patched, self.edits.staged)
        self.helping.start(self._line, batch, self._used, self._helped)
        self._touch()

    def _used(self, said: str) -> None:
        if said and self._turn is not None:
            self._turn = used(self._turn, said)
        self._touch()

    def _helped(self, told: Mapping[str, str]) -> None:
        if self._exchange is not None:
            self._exchange.answered(told)
            self._unsent, self._resent = True, 0
            self._wake()

    def _show(self, turn: Turn) -> None:
        """Take over the newest turn's new state, and let the edit follow."""
        known = len(self._turn.patch) if self._turn is not None else 0
        self._turn = turn
        if len(turn.patch) > known:
            self.edits.feed(turn.patch[known:])
        match turn.phase:
            case "completed":
                self.edits.finish()
                self._turn = replace(turn, patch=self.edits.patch or turn.patch)
                if self.edits.error and self._exchange is not None:
                    self._exchange.outcome = f"failed: {self.edits.error}"
                if turn.target or self.edits.state != "none":
                    self._improve(self._turn)
            case "failed" | "interrupted":
                self.edits.stop(turn.error)
            case _:
                pass
        self._touch()

    def _improve(self, turn: Turn) -> None:
        """Check the answer that ``turn`` has, and look for a better one while it has faults."""
        exchange, peer = self._exchange, self.link.peer
        if exchange is not None and peer is not None:
            ask = partial(self._conversation.again, exchange)
            question = Question(turn.instruction, ask, self.edits.read, peer)
            once = turn.round > 1
            self.improving.start(self._line, question, turn, self._improved, once=once)

    def _improved(self, best: Candidate) -> None:
        """Put ``best`` in the place of the turn's own answer."""
        assert self._turn is not None
        assert self._exchange is not None
        turn = self._turn
        self._turn = replace(
            best.turn, number=turn.number, target=turn.target, reads=turn.reads, uses=turn.uses
        )
        self._exchange.output = best.turn.output
        if best.edit is not None:
            self.edits.offer(best.edit, best.said or best.edit)

    def _wake(self) -> None:
        self._touch()
        self._line.wake()
