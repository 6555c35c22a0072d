"""Foreign checkpoints: safe readers, and tables that make our trees of them.

A *file* module turns bytes into plain containers of arrays and executes nothing
that a file says; a *table* module renames and transposes. Nothing here needs
PyTorch, TensorFlow or JAX.
"""
