"""Makes unit vectors with the geometry of CLIP's embeddings, as many as wanted; alone knows that geometry's numbers.

The numbers are those of ViT-B/32 (``openai``) on photographs and on 2,148 label prompts: pictures lie in one narrow
cone, texts in another, and a text is nearer to the pictures that it names by a few hundredths of a cosine only.
Inside a cone the variance falls off over the directions, and pictures come in groups of groups.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Mean cosines: of two pictures, of two texts, and of the two cones' axes.
IMAGE_CONE = 0.60
TEXT_CONE = 0.752
AXES = 0.27
# Of a picture's variance off the axis: what its large group, its small group and it alone have of it.
LARGE_SHARE, SMALL_SHARE, OWN_SHARE = 0.25, 0.35, 0.40
# Cosine, off the axes, of a text with the middle of the pictures that it names.
TEXT_AIM = 0.40
LARGE_GROUPS = 256
ROWS_PER_SMALL_GROUP = 50
MOST_SMALL_GROUPS = 50_000
BLOCK = 20_000
AHEAD = 2  # blocks in the making, each by a thread


@dataclass(frozen=True)
class Space:
    """The cones and groups of one seed. Rows of any number can be drawn from it, each block by a seed of its own.

    ``basis`` is float32 [dimension, dimension], orthonormal rows: the image axis, what the text axis has beside it,
    then the directions of the variance. ``groups`` is float32 [g, dimension]: the middles of the small groups, off
    the axes.
    """

    seed: int
    basis: NDArray[np.float32]
    groups: NDArray[np.float32]

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        return int(self.basis.shape[0])

    @property
    def image_axis(self) -> NDArray[np.float32]:
        """The unit vector that all pictures lie around."""
        axis: NDArray[np.float32] = self.basis[0]
        return axis

    @property
    def text_axis(self) -> NDArray[np.float32]:
        """The unit vector that all texts lie around."""
        axis: NDArray[np.float32] = np.float32(AXES) * self.basis[0] + np.float32(np.sqrt(1 - AXES**2)) * self.basis[1]
        return axis

    def images(self, count: int, stream: int = 0) -> NDArray[np.float32]:
        """``count`` pictures as float32 [count, dimension]; another ``stream`` gives others of the same world."""
        return self._images(np.random.default_rng((self.seed, 1, stream)), count)

    def image_blocks(self, count: int, block: int = BLOCK) -> Iterator[NDArray[np.float32]]:
        """``count`` pictures in blocks of at most ``block`` rows, float32: the same rows at each call."""
        sizes = [min(block, count - start) for start in range(0, count, block)]
        with ThreadPoolExecutor(AHEAD) as executor:
            waiting: deque[Future[NDArray[np.float32]]] = deque()
            for stream, size in enumerate(sizes):
                waiting.append(executor.submit(self.images, size, stream))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def texts(self, count: int, stream: int = 0) -> NDArray[np.float32]:
        """``count`` texts as float32 [count, dimension], each about one group of pictures, in the texts' own cone."""
        random = np.random.default_rng((self.seed, 2, stream))
        aims = self.groups[self._small_groups(random, count)]
        aims = aims / np.linalg.norm(aims, axis=1, keepdims=True)
        # Their own variance has its weight in other directions than that of pictures.
        own = (random.standard_normal((count, self.dimension - 2), dtype=np.float32) * self._deviations())[:, ::-1]
        off_axis = TEXT_AIM * aims + np.float32(np.sqrt(1 - TEXT_AIM**2)) * (own @ self.basis[2:])
        return _unit(np.sqrt(TEXT_CONE) * self.text_axis + np.float32(np.sqrt(1 - TEXT_CONE)) * off_axis)

    def image_queries(self, count: int) -> NDArray[np.float32]:
        """Pictures of the same world that are in no block."""
        return self._images(np.random.default_rng((self.seed, 3)), count)

    def _images(self, random: np.random.Generator, count: int) -> NDArray[np.float32]:
        own = random.standard_normal((count, self.dimension - 2), dtype=np.float32)
        own *= np.float32(np.sqrt(OWN_SHARE)) * self._deviations()
        off_axis = own @ self.basis[2:]
        off_axis += self.groups[self._small_groups(random, count)]
        off_axis *= np.float32(np.sqrt(1 - IMAGE_CONE))
        off_axis += np.float32(np.sqrt(IMAGE_CONE)) * self.image_axis
        return _unit(off_axis)

    def _small_groups(self, random: np.random.Generator, count: int) -> NDArray[np.int64]:
        # To a power, so that a few groups are large and most are small.
        places: NDArray[np.int64] = (len(self.groups) * random.random(count) ** 1.5).astype(np.int64)
        return places

    def _deviations(self) -> NDArray[np.float32]:
        return spectrum(self.dimension - 2)


def make_space(count: int, dimension: int = 512, seed: int = 20_261_121) -> Space:
    """The space from which a collection of ``count`` pictures is drawn; its groups grow in number with ``count``."""
    random = np.random.default_rng((seed, 0))
    basis = np.linalg.qr(random.standard_normal((dimension, dimension)))[0].T.astype(np.float32)
    small = int(np.clip(count // ROWS_PER_SMALL_GROUP, LARGE_GROUPS, MOST_SMALL_GROUPS))
    deviations = spectrum(dimension - 2)
    large = np.sqrt(LARGE_SHARE) * deviations * random.standard_normal((LARGE_GROUPS, dimension - 2))
    middles = np.sqrt(SMALL_SHARE) * deviations * random.standard_normal((small, dimension - 2))
    middles += large[random.integers(0, LARGE_GROUPS, small)]
    return Space(seed, np.ascontiguousarray(basis), (middles @ basis[2:]).astype(np.float32))


def spectrum(directions: int) -> NDArray[np.float32]:
    """Standard deviations over the directions of variance, float32, falling; their squares add up to 1.

    Two exponentials, fitted to 2,148 text embeddings of ViT-B/32: the first 10 of 512 directions hold .23 of the
    variance, 50 hold .54, 100 hold .73 and 200 hold .90.
    """
    places = np.arange(directions) * (510 / directions)
    variances = 0.8 * np.exp(-places / 95) / 95 + 0.2 * np.exp(-places / 8) / 8
    deviations: NDArray[np.float32] = np.sqrt(variances / variances.sum()).astype(np.float32)
    return deviations


@dataclass(frozen=True)
class Geometry:
    """What a set of pictures and texts look like: mean cosines, and shares of the texts' variance by direction."""

    image_image: float
    text_text: float
    image_text: float
    first_10: float
    first_100: float


def geometry(images: NDArray[np.float32], texts: NDArray[np.float32]) -> Geometry:
    """The geometry of unit vectors, float32 [n, d] and [m, d]."""
    centred = texts - texts.mean(axis=0)
    variances = np.sort(np.linalg.eigvalsh(centred.T @ centred))[::-1]
    shares = np.cumsum(variances) / variances.sum()
    return Geometry(
        image_image=_mean_cosine(images),
        text_text=_mean_cosine(texts),
        image_text=float((images @ texts.T).mean()),
        first_10=float(shares[9]),
        first_100=float(shares[min(99, len(shares) - 1)]),
    )


def _mean_cosine(rows: NDArray[np.float32]) -> float:
    total = np.linalg.norm(rows.sum(axis=0, dtype=np.float64)) ** 2
    return float((total - len(rows)) / (len(rows) * (len(rows) - 1)))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32, copy=False)
