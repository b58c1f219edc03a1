"""The composition root: the only package that knows every class. What is embedded and what is distributed is chosen here."""

from junto.bootstrap.build import Services, build

__all__ = ["Services", "build"]
