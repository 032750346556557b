"""Fetch images by their URLs, through the guard: off unless asked for, public addresses only."""

from clipsearch.fetching.fetch import Fetched, check_fetching, fetch_image, fetch_images
from clipsearch.fetching.network import INTERNET, Network

__all__ = ["INTERNET", "Fetched", "Network", "check_fetching", "fetch_image", "fetch_images"]
