"""The version, which the build reads without importing the package's dependencies."""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
