"""The picture-book and the small model that reads it; importing this costs nothing."""
