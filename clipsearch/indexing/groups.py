"""The six groups of a run's report; every file that was found stands in exactly one of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from clipsearch.answers import FailedFile, IndexingReport


@dataclass
class Groups:
    """Uris by what became of them, and how many pictures the model encoded."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[FailedFile] = field(default_factory=list)
    encoded: int = 0

    @property
    def done(self) -> int:
        """How many files stand in a group; removed ones are no files any more."""
        return sum(len(group) for group in (self.added, self.changed, self.moved, self.unchanged, self.failed))

    def extend(self, other: Groups) -> None:
        """Take over what another batch brought."""
        for name in ("added", "changed", "moved", "unchanged", "removed", "failed"):
            getattr(self, name).extend(getattr(other, name))
        self.encoded += other.encoded

    def report(
        self,
        collection: str,
        source: str,
        model: str,
        *,
        run_id: int | None,
        revision: int,
        seconds: float,
        cancelled: bool = False,
    ) -> IndexingReport:
        """The report of a run, or of a preview, which has no ``run_id``."""
        return IndexingReport(
            collection=collection,
            source=source,
            model=model,
            run_id=run_id,
            dry_run=run_id is None,
            cancelled=cancelled,
            added=self.added,
            changed=self.changed,
            moved=self.moved,
            unchanged=self.unchanged,
            removed=self.removed,
            failed=self.failed,
            encoded=self.encoded,
            revision=revision,
            seconds=seconds,
        )

    def counts(self) -> dict[str, int]:
        """The sizes of the groups, by name."""
        names = ("added", "changed", "moved", "unchanged", "removed", "failed")
        return {name: len(getattr(self, name)) for name in names} | {"encoded": self.encoded}
