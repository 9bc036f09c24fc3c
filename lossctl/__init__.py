"""Exact losses of prediction files: the command ``lossctl`` and its Python core."""

__version__ = "0.1.0"
