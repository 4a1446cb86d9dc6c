"""A whole step as one native call: a list of operations that every thread walks along.

A **line** names a function, its two arguments, and the counts that say when it is finished. The
functions divide their work into units that threads claim from a counter, and count what they have
finished. ``walk(program)`` calls each line's function and then waits until all of its units, and
those of as many lines before as it says, are done: what follows reads what they wrote.

Threads do not sign up. One that comes late skips the lines that are finished and helps with the
next; one that never comes is not missed; who waits, waits only for units that a thread is in the
middle of. Waiting threads spin, and after a while let others have the processor between looks.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence

from llvmlite import ir

from sparkcode.model.kernels.vocabulary import FLOAT, I32, I64, LANES, Emitter, Value

PROGRAM_FIELDS = ("lines", "count", "yield")
"""Address and number of the lines; address of a function that lets other threads run."""
LINE_FIELDS = ("function", "record", "context", "done", "units", "waits")
"""Addresses of the function, of its two arguments, of the count of finished units and of the
number of units; how many lines' ends are waited for: 0, or this one and those just before it."""
FIELD_BYTES = 8
LINE_WORDS = 8
"""Fields of a line and of the shortest record: counters of two records never share a cache line."""

_SPINS = 2000
"""Looks, some 50 nanoseconds each, before a waiting thread offers its processor to others."""


class StepEmitter(Emitter):
    """The vocabulary, and what only whole steps need."""

    def fields(self, record: Value, names: Sequence[str]) -> dict[str, Value]:
        """The 64-bit integers of a record, by name."""
        return {name: self.load(I64, record, FIELD_BYTES * i) for i, name in enumerate(names)}

    def float_at(self, record: Value, names: Sequence[str], name: str) -> Value:
        """A field that holds the bits of a float."""
        return self.load(FLOAT, record, FIELD_BYTES * names.index(name))

    def sub(self, a: Value, b: Value | int) -> Value:
        """a - b, of 64-bit integers."""
        return self._b.sub(a, self.whole(b) if isinstance(b, int) else b)

    def root(self, value: Value) -> Value:
        """Square root of a float."""
        return self.intrinsic("llvm.sqrt.f32", FLOAT, (value,))

    def neighbours(self, value: Value) -> Value:
        """FLOATS with lanes 2i and 2i + 1 exchanged."""
        lanes = [ir.Constant(I32, lane ^ 1) for lane in range(LANES)]
        mask = ir.Constant(ir.VectorType(I32, LANES), lanes)
        return self._b.shuffle_vector(value, value, mask)

    def select_positive(self, sign: Value, then: Value, other: Value) -> Value:
        """By lane of floats: ``then`` where ``sign`` is not below zero, else ``other``."""
        zero = self.constant(sign.type, 0.0)
        return self._b.select(self._b.fcmp_ordered(">=", sign, zero), then, other)

    def when_less(self, a: Value, b: Value, body: Callable[[], None]) -> None:
        """Run ``body`` where a < b, unsigned."""
        with self._b.if_then(self._b.icmp_unsigned("<", a, b)):
            body()

    def seen(self, counter: Value) -> Value:
        """The integer at address ``counter``, and with it all that was written before: acquire."""
        pointer = self._b.inttoptr(counter, I64.as_pointer())
        return self._b.load_atomic(pointer, "acquire", 8)

    def await_count(self, counter: Value, wanted: Value, let_go: Value) -> None:
        """Spin until the integer at ``counter`` is at least ``wanted``."""
        before = self._b.block
        look, pause, leave, after = (
            self._b.append_basic_block(name) for name in ("look", "pause", "yield", "after")
        )
        self._b.branch(look)
        self._b.position_at_end(look)
        spins = self._b.phi(I64)
        following = self.add(spins, 1)
        ready = self._b.icmp_unsigned(">=", self.seen(counter), wanted)
        self._b.cbranch(ready, after, pause)
        self._b.position_at_end(pause)
        self.intrinsic("llvm.x86.sse2.pause", ir.VoidType(), ())
        patient = self._b.icmp_unsigned("<", following, self.whole(_SPINS))
        self._b.cbranch(patient, look, leave)
        self._b.position_at_end(leave)
        self.call(let_go, ())
        self._b.branch(look)
        spins.add_incoming(self.whole(0), before)
        spins.add_incoming(following, pause)
        spins.add_incoming(following, leave)
        self._b.position_at_end(after)


def each_unit(e: StepEmitter, record: Value, units: Value, body: Callable[[Value], None]) -> None:
    """Claim units of a record that begins with ``next`` and ``done``, until none is left."""
    counter, done = record, e.add(record, FIELD_BYTES)

    def take() -> None:
        index = e.claim(counter, e.whole(1))
        e.return_unless(index, units)
        body(index)
        e.publish(done, e.whole(1))

    e.forever(take)


def emit_walk(module: ir.Module) -> ir.Function:
    """``walk(program)``: take part until the last line is finished."""
    e = StepEmitter(module, "walk", 1)
    (program,) = e.arguments
    p = e.fields(program, PROGRAM_FIELDS)
    line_bytes = LINE_WORDS * FIELD_BYTES

    def step(index: Value, _: Sequence[Value]) -> Sequence[Value]:
        address = e.add(p["lines"], e.mul(index, line_bytes))
        line = e.fields(address, LINE_FIELDS)
        e.when_less(
            e.seen(line["done"]),
            e.load(I64, line["units"]),
            lambda: e.call(line["function"], (line["record"], line["context"])),
        )

        def wait(back: Value, _: Sequence[Value]) -> Sequence[Value]:
            past = e.sub(address, e.mul(back, line_bytes))
            other = e.fields(past, LINE_FIELDS)
            e.await_count(other["done"], e.load(I64, other["units"]), p["yield"])
            return ()

        e.when_less(e.whole(0), line["waits"], lambda: _discard(e.repeat(line["waits"], (), wait)))
        return ()

    e.repeat(p["count"], (), step)
    return e.finish()


def _discard(_: Sequence[Value]) -> None:
    """Values that nobody needs."""


def yield_address() -> int:
    """Address of the system's function that lets other threads run."""
    windows = sys.platform == "win32"
    library, name = ("kernel32", "SwitchToThread") if windows else (None, "sched_yield")
    function = getattr(ctypes.CDLL(library), name)
    return ctypes.cast(function, ctypes.c_void_p).value or 0
