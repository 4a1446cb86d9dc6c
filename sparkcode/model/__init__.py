"""The transformer: weights, tokenizer, numerics, sampling."""
