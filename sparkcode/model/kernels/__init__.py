"""A forward pass on packed weights, in vector code that Python writes and LLVM compiles.

Read ``choice`` and ``instructions`` first. The weights' bytes are described in
:mod:`sparkcode.model.records`, what their codes mean in :mod:`sparkcode.model.blocks`.

=========================  =====================================================================
which kernel runs          ``choice``: one of three instruction sets, or NumPy; ``instructions``
from text to functions     ``loading``, ``compiled``; ``selftest`` compares with ``reference``
what code is written with  ``vocabulary`` (8 lanes), ``wide`` (products: 8 or 16 lanes)
products                   ``quantise`` (activations), ``unpack`` (records), ``dots``, ``sums``,
                           ``tiles``
what lies between          ``elements`` (norm, rotation, gate), ``attend``
a step as one call         ``flow``, ``program``, ``buffers``, ``forward``, ``step``
in Python                  ``product`` (the functions, ready to run), ``team`` (threads)
=========================  =====================================================================
"""
