"""Model shapes: the few numbers of a decoder-only transformer that decide its time and memory.

Sizes are in elements and named as in the models' own config files: a layer has an attention block
(``hidden -> q, k, v -> hidden``) and either a gated dense block or a mixture of experts. A share
``moe_fraction`` of the layers has experts; ``window_layers`` of them attend to a sliding window.

A shape is a data file, ``models/NAME.toml``: one ``source`` for the file, then plain numbers, whose
units are those of the fields below. A model's own ``config.json`` is read too
(:mod:`sparkcode.wafer.hugging`).
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from sparkcode.errors import ConfigError
from sparkcode.wafer.catalogue import JSON_SUFFIX, DataFile, names, read
from sparkcode.wafer.hugging import shape_table
from sparkcode.wafer.quantity import Quantity, check_keys, quantities

DEFAULT_SHAPE: Final = "gpt-oss-120b"

Draft = Literal["none", "head", "model"]
"""What may draft for a model: nothing, a prediction layer of its own, a smaller model."""

Layers = Annotated[int, Quantity("layers", 1, 1e4, whole=True)]
Size = Annotated[int, Quantity("elements", 1, 1e7, whole=True)]
OptionalSize = Annotated[int, Quantity("elements", 0, 1e7, whole=True)]
Experts = Annotated[int, Quantity("experts", 0, 1e5, whole=True)]
Context = Annotated[int, Quantity("tokens", 1, 1e8, whole=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """One model. ``q_size`` and ``kv_size`` are heads times head size."""

    name: str
    source: str = ""
    num_layers: Layers
    hidden_size: Size
    q_size: Size
    kv_size: Size
    """Of keys; values have as many. With a latent cache, the size of the latent."""
    kv_tensors: Annotated[int, Quantity("elements", 1, 2, whole=True)] = 2
    """Vectors of ``kv_size`` cached per token and layer: keys and values, or one latent."""
    intermediate_size: OptionalSize = 0
    """Of a dense layer; 0 if every layer has experts."""
    gated: bool = True
    """Whether a dense block has a gate beside its up projection."""
    num_experts: Experts = 0
    experts_per_token: Experts = 0
    expert_intermediate_size: OptionalSize = 0
    shared_intermediate_size: OptionalSize = 0
    """Of the expert that every token passes, 0 if there is none."""
    moe_fraction: Annotated[float, Quantity("fraction", 0.0, 1.0)] = 0.0
    """Share of the layers that have experts."""
    vocab_size: Size
    tied_embeddings: bool = False
    """Whether the head shares the embedding's weights."""
    weight_bytes_per_parameter: Annotated[float, Quantity("bytes per parameter", 0.1, 8.0)] = 2.0
    expert_bytes_per_parameter: Annotated[float, Quantity("bytes per parameter", 0.0, 8.0)] = 0.0
    """Of the experts, where they are stored differently; 0 for as the rest."""
    activation_bits: Annotated[int, Quantity("bits", 8, 16, whole=True)] = 16
    """Bits of the values that weights are multiplied with, on hardware that multiplies those."""
    kv_bytes_per_element: Annotated[float, Quantity("bytes per element", 0.1, 8.0)] = 2.0
    context_length: Context
    """Longest context, in tokens, that the model was trained for."""
    window: Annotated[int, Quantity("tokens", 0, 1e8, whole=True)] = 0
    """Sliding window in tokens of the layers that have one."""
    window_layers: Annotated[int, Quantity("layers", 0, 1e4, whole=True)] = 0
    draft: Draft = "none"
    """What it is, or is likely to be, served with."""

    @property
    def attention_parameters(self) -> int:
        """Of one layer: Q and O, K and V."""
        return self.hidden_size * (2 * self.q_size + 2 * self.kv_size)

    @property
    def dense_parameters(self) -> int:
        """Of one dense layer's block: up, gate if there is one, down."""
        return (3 if self.gated else 2) * self.hidden_size * self.intermediate_size

    @property
    def expert_parameters(self) -> int:
        """Of one routed expert."""
        return 3 * self.hidden_size * self.expert_intermediate_size

    @property
    def shared_parameters(self) -> int:
        """Of one expert layer's router and shared expert."""
        return self.hidden_size * (self.num_experts + 3 * self.shared_intermediate_size)

    @property
    def head_parameters(self) -> int:
        return self.vocab_size * self.hidden_size

    @property
    def total_parameters(self) -> int:
        embedding = 0 if self.tied_embeddings else self.head_parameters
        return round(self.parameters_read(self.num_experts)) + embedding

    @property
    def active_parameters(self) -> int:
        """Multiplied for one token: the head counts, the look-up of the embedding does not."""
        return round(self.parameters_read(self.experts_per_token))

    @property
    def weight_bytes(self) -> float:
        embedding = 0 if self.tied_embeddings else self.head_parameters
        rest = embedding * self.weight_bytes_per_parameter
        return self.bytes_read(self.num_experts) + rest

    @property
    def widened(self) -> bool:
        """Whether weights are stored in fewer bits than they are multiplied in."""
        stored = self.expert_bytes_per_parameter or self.weight_bytes_per_parameter
        return min(stored, self.weight_bytes_per_parameter) < self.activation_bits / 8

    @property
    def kv_bytes_per_token(self) -> float:
        """Added to the KV cache by one token, over all layers, while no window is full."""
        return self.num_layers * self._layer_kv_bytes

    @property
    def _layer_kv_bytes(self) -> float:
        return self.kv_tensors * self.kv_size * self.kv_bytes_per_element

    def parameters_read(self, experts: float) -> float:
        """Parameters that a pass touches if it touches ``experts`` of each expert layer."""
        dense = (1 - self.moe_fraction) * self.dense_parameters
        moe = self.moe_fraction * (self.shared_parameters + experts * self.expert_parameters)
        return self.num_layers * (self.attention_parameters + dense + moe) + self.head_parameters

    def bytes_read(self, experts: float) -> float:
        """As ``parameters_read``, in bytes."""
        rest = self.parameters_read(0)
        chosen = self.parameters_read(experts) - rest
        stored = self.expert_bytes_per_parameter or self.weight_bytes_per_parameter
        return rest * self.weight_bytes_per_parameter + chosen * stored

    def distinct_experts(self, tokens: int) -> float:
        """Experts of a layer that ``tokens`` tokens touch, if routed independently."""
        if not self.num_experts:
            return 0.0
        missed = (1 - self.experts_per_token / self.num_experts) ** tokens
        return self.num_experts * (1 - missed)

    def mean_over_layers(self, full: float, windowed: float) -> float:
        """Mean of a layer's quantity, given its value with and without a sliding window."""
        return full + (windowed - full) * self.window_layers / self.num_layers

    def attended(self, context: float) -> float:
        """Tokens that a layer attends to at ``context``, on average over layers."""
        return self.mean_over_layers(context, min(context, self.window))

    def mean_attended(self, context: int, tokens: int) -> float:
        """Tokens before it that each of ``tokens`` new ones attends to, on average over them and
        over layers, when ``context`` are there already."""
        full = context + (tokens - 1) / 2
        short = max(0, min(tokens, self.window - context))
        inside = short * (context + (short - 1) / 2) + (tokens - short) * self.window
        return self.mean_over_layers(full, inside / tokens)

    def kv_bytes(self, context: int) -> float:
        """KV cache of one stream at ``context`` tokens; windowed layers keep only their window."""
        return self.kv_bytes_per_token * self.attended(context)

    def context_in(self, kv_bytes: float) -> int:
        """Longest context whose KV cache takes at most ``kv_bytes``, up to ``context_length``."""
        if self.kv_bytes(self.context_length) <= kv_bytes:
            return self.context_length
        if self.kv_bytes(self.window) >= kv_bytes:
            return max(0, int(kv_bytes / self.kv_bytes_per_token))
        full_layers = self.num_layers - self.window_layers
        windowed = self.window_layers * self._layer_kv_bytes * self.window
        return int((kv_bytes - windowed) / (full_layers * self._layer_kv_bytes))


def shape_names(folder: Path | None = None) -> list[str]:
    """Names that ``load_shape`` knows, sorted; ``folder`` adds the user's own."""
    return names("models", folder)


def load_shape(name: str, folder: Path | None = None) -> ModelShape:
    """The shape called ``name``, or described by the .toml file at that path, or by the
    ``config.json`` that was published with a model's weights.

    Raises ``UsageError`` for an unknown name, listing those that exist, and ``ConfigError`` for a
    file with an unknown or missing key, or values that are impossible or contradict each other.
    """
    data = read("models", name, folder)
    if name.endswith(JSON_SUFFIX):
        table = shape_table(data.table, name)
        data = DataFile(Path(name).resolve().parent.name or name, data.where, table)
    return build_shape(data)


def build_shape(data: DataFile) -> ModelShape:
    """The shape that the fields in ``data`` describe; ConfigError names what is wrong."""
    numbers = quantities(ModelShape)
    declared = {field.name: field for field in fields(ModelShape) if field.name != "name"}
    required = {key for key, field in declared.items() if field.default is MISSING} | {"source"}
    check_keys(set(data.table), known=set(declared), required=required, where=data.where)
    values: dict[str, Any] = {}
    for key, value in data.table.items():
        where = f"{data.where}: {key}"
        if key in numbers:
            values[key] = numbers[key].check(value, where=where)
        else:
            values[key] = _plain(key, value, where=where)
    shape = ModelShape(name=data.name, **values)
    _check_whole(shape, data)
    return shape


def _plain(key: str, value: object, *, where: str) -> str | bool:
    """A field that is no number."""
    if key == "draft":
        if value not in get_args(Draft):
            listed = ", ".join(get_args(Draft))
            raise ConfigError(f"{where}: {value!r}; expected one of: {listed}")
        return str(value)
    expected, wanted = (str, "a line of text") if key == "source" else (bool, "true or false")
    if not isinstance(value, expected) or value == "":
        raise ConfigError(f"{where}: {value!r}; expected {wanted}")
    return value


def _check_whole(shape: ModelShape, data: DataFile) -> None:
    """Raise ``ConfigError`` where fields that are possible alone contradict each other."""
    experts = (shape.num_experts, shape.experts_per_token, shape.expert_intermediate_size)
    if (shape.moe_fraction > 0) != all(experts) or any(experts) != all(experts):
        raise ConfigError(
            f"{data.where}: moe_fraction, num_experts, experts_per_token and "
            "expert_intermediate_size must be all above zero or all absent"
        )
    if shape.experts_per_token > shape.num_experts:
        raise ConfigError(
            f"{data.where}: experts_per_token {shape.experts_per_token}; "
            f"expected at most num_experts, {shape.num_experts}"
        )
    if shape.moe_fraction < 1 and not shape.intermediate_size:
        raise ConfigError(f"{data.where}: intermediate_size is absent, but there are dense layers")
    if bool(shape.window) != bool(shape.window_layers) or shape.window_layers > shape.num_layers:
        raise ConfigError(
            f"{data.where}: window {shape.window} with window_layers {shape.window_layers}; "
            f"expected both or neither, and at most {shape.num_layers} layers"
        )
