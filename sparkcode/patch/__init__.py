"""The one edit format: apply_patch, incremental in both directions."""
