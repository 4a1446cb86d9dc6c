"""What the timing model says to a published figure. Pure.

A row names a system, a model and a workload; each class of rows is one kind of measurement, with
the software that made it. Nothing here is fitted, and no figure stands here: the numbers are the
chips', the models' and the constants'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sparkcode.errors import UsageError
from sparkcode.wafer.catalogue import DataFile, read
from sparkcode.wafer.chip import Chip, GpuChip, WaferChip, build_chip
from sparkcode.wafer.constants import Calibration, Constants
from sparkcode.wafer.cost import WaferCost, make_cost
from sparkcode.wafer.drafting import Cycle, accepted_tokens, best_cycle
from sparkcode.wafer.gpu import GpuCost, GpuPlacement
from sparkcode.wafer.placement import DEFAULT_CONTEXT
from sparkcode.wafer.published import Row, stored
from sparkcode.wafer.shape import ModelShape, load_shape
from sparkcode.wafer.waferllm import (
    decode_seconds,
    longest_answer,
    prefill_seconds,
    request_seconds,
)

_CHIPS: Final = (
    ("WSE-2", "wse2"),
    ("CS-4", "wse3-turbo"),
    ("CS-3", "wse3"),
    ("GB200", "gb200"),
    ("B200", "b200"),
    ("H200", "h200"),
    ("H100", "h100"),
    ("A100", "a100"),
    ("L40S", "l40s"),
    ("WSE-3", "wse3"),
    ("LPU", "groq-lpu"),
)
"""How tables call the package's chips; the first that a row's chips contain."""

_PAPER_GRIDS: Final = (420, 540, 660)
"""Sides on which the paper decodes; where a row names none, the fastest is meant."""

_GPT_FAST_DRAFTED: Final = 5
"""gpt-fast's own default."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """The package's chips and models, with the constants given. Files are read once."""

    calibration: Calibration
    chip_files: Mapping[str, DataFile]
    shapes: Mapping[str, ModelShape]

    @property
    def constants(self) -> Constants:
        return self.calibration.constants

    def chip(self, row: Row) -> Chip:
        """UsageError if the row is about no chip that the package knows."""
        for text, name in _CHIPS:
            if text in row.chips:
                return build_chip(self.chip_files[name], self.calibration)
        raise UsageError(f"no chip called {row.chips!r} is known")

    def shape(self, row: Row) -> ModelShape:
        """As the row stores it. UsageError if its sizes are not known."""
        return stored(self._known(row.shape_name, row.model), row.precision)

    def sibling(self, name: str) -> ModelShape:
        return self._known(name, name)

    def _known(self, name: str | None, asked: str) -> ModelShape:
        if name is None or name not in self.shapes:
            raise UsageError(f"the sizes of {asked!r} are not known")
        return self.shapes[name]


def hardware(calibration: Calibration, shape_names: list[str]) -> Hardware:
    files = {name: read("chips", name) for _, name in _CHIPS}
    return Hardware(calibration, files, {name: load_shape(name) for name in shape_names})


def predict(row: Row, known: Hardware) -> float:
    """In the unit of the row's figure.

    UsageError says why there can be no prediction: its class, its chip or its model is not known.
    """
    rule = _RULES.get(row.klass)
    if rule is None:
        raise UsageError(f"class {row.klass!r} is not predicted")
    return rule(row, known)


def _paper_decode(row: Row, known: Hardware) -> float:
    chip, shape = _wafer(row, known), known.shape(row)
    sides = row.grids or _PAPER_GRIDS
    return max(1 / decode_seconds(chip, shape, side=side, context=row.context) for side in sides)


def _paper_prefill(row: Row, known: Hardware) -> float:
    chip, shape = _wafer(row, known), known.shape(row)
    seconds = prefill_seconds(
        chip, known.constants, shape, side=_grids(row, 1)[0], tokens=_prompt(row)
    )
    return row.context / seconds


def _paper_request(row: Row, known: Hardware) -> float:
    chip, shape = _wafer(row, known), known.shape(row)
    first, second = _grids(row, 2)
    tokens = (_prompt(row), _output(row))
    seconds = request_seconds(chip, known.constants, shape, sides=(first, second), tokens=tokens)
    return row.output / seconds


def _paper_cache(row: Row, known: Hardware) -> float:
    chip, shape = _wafer(row, known), known.shape(row)
    shifted = "concat" not in row.system
    return longest_answer(chip, known.constants, shape, side=_grids(row, 1)[0], shifted=shifted)


def _energy_ratio(row: Row, known: Hardware) -> float:
    """Rated power times time, of GPUs against the wafer."""
    if "decode" not in row.system:
        raise UsageError("prefill ratios rest on rates that their own source contradicts")
    gpus, _, wafer = row.chips.partition(" vs ")
    gpu_row = replace(row, chips=gpus, system="SGLang")
    wafer_row = replace(row, chips=wafer)
    devices, _ = gpu_row.devices
    gpu_power = devices * known.chip(gpu_row).power
    wafer_power = known.chip(wafer_row).power
    rates = _paper_decode(wafer_row, known) / _gpu_decode(gpu_row, known)
    return gpu_power / wafer_power * rates


def _service_decode(row: Row, known: Hardware) -> float:
    """The advertised pace; what users measure, and the first kernels, fall short of it."""
    cost = _service(row, known)
    context = row.context + row.output // 2 or DEFAULT_CONTEXT
    pace = 1 / best_cycle(cost, cost.shape.draft, context).seconds_per_token
    short = row.klass == "wse3_decode_api" or "launch" in row.notes
    return pace * known.constants.observed_share if short else pace


def _service_prompt(row: Row, known: Hardware) -> float:
    cost = _service(row, known)
    return cost.prefill_seconds(_prompt(row), 0)


def _service(row: Row, known: Hardware) -> WaferCost:
    room = max(row.context, DEFAULT_CONTEXT)
    cost = make_cost(_wafer(row, known), known.shape(row), context=room)
    assert isinstance(cost, WaferCost)
    return cost


def _gpu_decode(row: Row, known: Hardware) -> float:
    cost = _gpu(row, known, known.shape(row))
    return 1 / cost.decode_seconds(_middle(row))


def _gpu_first_token(row: Row, known: Hardware) -> float:
    return _gpu(row, known, known.shape(row)).prefill_seconds(_prompt(row), 0)


def _gpu_batch(row: Row, known: Hardware) -> float:
    """Output tokens a second and device, with the prompts' time: one batch from start to end."""
    cost = _gpu(row, known, known.shape(row))
    if not row.users:
        raise UsageError("the row names no batch")
    prompts = cost.prompt_seconds(_prompt(row), 0, streams=row.users)
    step = sum(cost.batch_breakdown(row.users, _middle(row)).values())
    devices, _ = row.devices
    return row.users * _output(row) / (prompts + row.output * step) / devices


def _gpu_drafted(row: Row, known: Hardware) -> float:
    """With drafts: by a layer of the model, whose accepted length the row tells, or by a smaller
    model of the family."""
    cost = _gpu(row, known, known.shape(row))
    context = _middle(row)
    if told := re.search(r"MTP(\d{1,2})\D.*?length (\d+(?:\.\d+)?)", row.notes):
        drafted, accepted = int(told[1]), max(1.0, float(told[2]))
        draft = cost.draft_seconds(context)
    elif told := re.search(r"draft (\w+) (\w+)", row.notes):
        drafted = _GPT_FAST_DRAFTED
        accepted = accepted_tokens(drafted)
        small = stored(known.sibling(f"llama-2-{told[1].lower()}"), told[2])
        draft = _gpu(row, known, small).decode_seconds(context)
    else:
        return 1 / cost.decode_seconds(context)
    cycle = Cycle(drafted, accepted, drafted * draft, cost.verify_seconds(drafted + 1, context))
    return 1 / cycle.seconds_per_token


def _eagle(row: Row, known: Hardware) -> float:
    """With a draft head beside the model, as long as serves it best."""
    cost = _gpu(row, known, known.shape(row))
    context = _middle(row)
    if "speculative" not in row.notes:
        return 1 / cost.decode_seconds(context)
    return 1 / best_cycle(cost, "model", context).seconds_per_token


def _wafer(row: Row, known: Hardware) -> WaferChip:
    chip = known.chip(row)
    if not isinstance(chip, WaferChip):
        raise UsageError(f"{row.chips!r} is no wafer")
    return chip


def _grids(row: Row, count: int) -> tuple[int, ...]:
    if len(row.grids) != count:
        raise UsageError(f"{row.chips!r} names {len(row.grids)} square grids; {count} are needed")
    return row.grids


def _prompt(row: Row) -> int:
    if not row.context:
        raise UsageError("the row names no prompt")
    return row.context


def _output(row: Row) -> int:
    if not row.output:
        raise UsageError("the row names no length of its answers")
    return row.output


def _middle(row: Row) -> int:
    """The context at the middle of the answer."""
    return (row.context or DEFAULT_CONTEXT) + row.output // 2


def _gpu(row: Row, known: Hardware, shape: ModelShape) -> GpuCost:
    """On the devices that the row says, with the software that it names."""
    chip = known.chip(row)
    if not isinstance(chip, GpuChip):
        raise UsageError(f"{row.chips!r} is no GPU")
    devices, nodes = row.devices
    return GpuCost(_driven(chip, row, known.constants), shape, GpuPlacement(devices, nodes))


def _driven(chip: GpuChip, row: Row, constants: Constants) -> GpuChip:
    if row.system.startswith("gpt-fast"):
        return replace(chip, kernel_seconds=constants.compiled_kernel)
    if "v0.5" in row.source:
        return replace(
            chip,
            kernel_seconds=constants.eager_kernel,
            reread_share=constants.reread_share,
        )
    return chip


def _lpu_decode(row: Row, known: Hardware) -> float:
    if row.metric != "decode_tok_s" or "LPU" not in row.chips:
        raise UsageError("of an LPU only the pace of its tokens is predicted")
    chip = known.chip(row)
    cost = make_cost(chip, known.shape(row))
    return 1 / cost.decode_seconds(_middle(row))


_RULES: Final[Mapping[str, Callable[[Row, Hardware], float]]] = {
    "wse2_decode": _paper_decode,
    "wse2_prefill": _paper_prefill,
    "wse2_e2e": _paper_request,
    "wse2_kv": _paper_cache,
    "energy": _energy_ratio,
    "wse3_decode": _service_decode,
    "wse3_decode_api": _service_decode,
    "wse3_bound": _service_decode,
    "wse3_forecast": _service_decode,
    "wse3_prompt_time": _service_prompt,
    "gpu_decode_gptfast": _gpu_decode,
    "gpu_decode_gptfast_q": _gpu_decode,
    "gpu_decode_gptfast_moe": _gpu_decode,
    "gpu_decode_sglang": _gpu_decode,
    "gpu_ttft_trtllm": _gpu_first_token,
    "gpu_batch_trtllm": _gpu_batch,
    "gpu_decode_b200": _eagle,
    "spec_decode": _gpu_drafted,
    "groq": _lpu_decode,
}
