"""Reads multipart forms whose parts name files in whatever characters; werkzeug drops a form with one that is no UTF-8.

A byte of a part's head that is no UTF-8 becomes a replacement character, and the rest of the form is as it was sent.
"""

from __future__ import annotations

from typing import IO, Any

from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

_PIECE = 65_536


class Forms(FormDataParser):
    """werkzeug's reader of forms, with another one of multipart forms."""

    def _parse_multipart(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str]
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        boundary = options.get("boundary", "").encode("ascii")
        if not boundary:
            raise ValueError("a form without a boundary")
        form = _Form(self)
        decoder = _Decoder(boundary, self.max_form_memory_size, max_parts=self.max_form_parts)
        more = True
        while more:
            piece = stream.read(_PIECE)
            more = bool(piece)
            decoder.receive_data(piece or None)
            while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
                form.take(event, content_length)
        return stream, self.cls(form.fields), self.cls(form.files)


class _Decoder(MultipartDecoder):
    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(bytes(data).decode("utf-8", "replace").encode())


class _Form:
    """What was read of a form so far, and the part at hand: a text in ``_text``, or a file in ``_file``."""

    def __init__(self, parser: FormDataParser) -> None:
        self.fields: list[tuple[str, str]] = []
        self.files: list[tuple[str, FileStorage]] = []
        self._parser = parser
        self._text: bytearray | None = None
        self._file: IO[bytes] | None = None
        self._name = ""

    def take(self, event: Any, length: int | None) -> None:
        """The next event. Raises RequestEntityTooLarge."""
        if isinstance(event, Field):
            self._name, self._text = event.name, bytearray()
        elif isinstance(event, File):
            self._name, self._text = event.name, None
            self._file = self._parser.stream_factory(
                total_content_length=length, filename=event.filename,
                content_type=event.headers.get("content-type"), content_length=0,
            )  # fmt: skip
            self.files.append((event.name, FileStorage(self._file, event.filename, event.name, headers=event.headers)))
        elif isinstance(event, Data):
            self._take_data(event)

    def _take_data(self, event: Data) -> None:
        if self._text is not None:
            self._text += event.data
            limit = self._parser.max_form_memory_size
            if limit is not None and len(self._text) > limit:
                raise RequestEntityTooLarge
            if not event.more_data:
                self.fields.append((self._name, self._text.decode("utf-8", "replace")))
        elif self._file is not None:
            self._file.write(event.data)
            if not event.more_data:
                self._file.seek(0)
