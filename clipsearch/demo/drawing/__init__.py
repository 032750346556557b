"""The drawing room of the picture-book: turns a scene into pixels; it alone knows how things look."""

from clipsearch.demo.drawing.composing import draw_scene

__all__ = ["draw_scene"]
