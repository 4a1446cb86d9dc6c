"""Products with packed weights, in LLVM vector code that Python writes."""
