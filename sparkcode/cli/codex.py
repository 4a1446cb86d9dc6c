"""What Codex CLI needs to use this server: its settings, and a catalog with the model.

Without the catalog Codex takes the model for an unknown one: it warns, sends 20 kB of instructions,
and offers no free-form ``apply_patch``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

CATALOG: Final = Path(__file__).with_name("codex_catalog.json")
KEY_ENV: Final = "SPARKCODE_API_KEY"


def config_text(host: str, port: int, *, needs_key: bool) -> str:
    """Lines for Codex's ``config.toml``; the catalog is the one that this package brings."""
    shown = f"[{host}]" if ":" in host else host
    lines = [
        'model = "spark"',
        'model_provider = "spark"',
        f"model_catalog_json = {_quoted(str(CATALOG))}",
        'web_search = "disabled"',
        "",
        "[model_providers.spark]",
        'name = "Spark"',
        f"base_url = {_quoted(f'http://{shown}:{port}/v1')}",
        'wire_api = "responses"',
        "supports_websockets = true",
        *([f'env_key = "{KEY_ENV}"'] if needs_key else []),
    ]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """``text`` as a basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
