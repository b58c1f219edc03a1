"""The composition root: the only package that knows every class. What is embedded and what is distributed is chosen here.

Nothing is imported here: `junto config check` needs known.py, and not the whole of build.py with it.
"""
