"""``python -m sparkcode``."""

from __future__ import annotations

from sparkcode.cli.main import main

if __name__ == "__main__":
    main()
