"""Tag what a collection holds with a label set, without touching a picture, and keep the tags in step.

What is kept are the best labels of each image with their numbers. Which of them hold is decided when they are read,
by the thresholds of the set as it is then.
"""

from __future__ import annotations

from clipsearch.tagging.applying import OnProgress, refresh_tags, tag_collection, untag, will_refresh
from clipsearch.tagging.showing import list_taggings, show_tags

__all__ = ["OnProgress", "list_taggings", "refresh_tags", "show_tags", "tag_collection", "untag", "will_refresh"]
