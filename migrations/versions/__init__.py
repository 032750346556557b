"""The schema's history, one small step per change; applied by ``clipsearch db upgrade``."""
