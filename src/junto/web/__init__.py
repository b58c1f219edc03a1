"""The HTTP edge: a door that serves inference directly, and a FastAPI application for everything else."""
