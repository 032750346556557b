"""Keywords in XMP files: read back by an XML reader that is not ours, and never at the cost of what stood there."""

from __future__ import annotations

import os
import stat
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.datasets import DatasetClass, GivenLabel, LabelledImage, keywords_of, write_sidecar
from clipsearch.datasets.sidecars import Keywords, with_keywords
from clipsearch.errors import InvalidInput

SPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}
# As a photo program writes one, with what others would lose: comments, odd prefixes, line ends, an attribute.
FOREIGN = b"""\xef\xbb\xbf<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>\r
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Some &quot;Program&quot; 1.0">\r
 <!-- kept <as> it is -->\r
 <R:RDF xmlns:R="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\r
  <R:Description R:about="uuid:1" xmlns:d="http://purl.org/dc/elements/1.1/"\r
     xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4">\r
   <d:subject><R:Bag><R:li>holiday</R:li><R:li>Gr\xc3\xbc\xc3\x9fe &amp; more</R:li></R:Bag></d:subject>\r
   <d:title><R:Alt><R:li xml:lang="x-default">Us > them</R:li></R:Alt></d:title>\r
  </R:Description>\r
 </R:RDF>\r
</x:xmpmeta>\r
<?xpacket end='w'?>"""


def keywords(*words: str, label_set: str = "animals") -> Keywords:
    row = LabelledImage("/x", labels=tuple(GivenLabel(DatasetClass(1, word)) for word in words))
    return keywords_of(row, label_set)


def listed(text: bytes, name: str) -> list[str]:
    top = ET.fromstring(text)
    return [item.text or "" for item in top.findall(f".//{name}/rdf:Bag/rdf:li", SPACES)]


def test_a_new_sidecar_holds_plain_and_hierarchical_keywords(tmp_path: Path) -> None:
    image = tmp_path / "beach.jpg"
    image.write_bytes(b"not touched")
    image.chmod(0o640)
    assert write_sidecar(str(image), keywords("dog", "cat & <mouse>")) == "written"
    text = (tmp_path / "beach.jpg.xmp").read_bytes()
    assert listed(text, "dc:subject") == ["dog", "cat & <mouse>"]
    assert listed(text, "lr:hierarchicalSubject") == ["animals|dog", "animals|cat & <mouse>"]
    assert text.startswith(b"<?xpacket begin")
    assert image.read_bytes() == b"not touched"
    assert stat.S_IMODE((tmp_path / "beach.jpg.xmp").stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["beach.jpg", "beach.jpg.xmp"]


def test_writing_twice_is_writing_once(tmp_path: Path) -> None:
    image = tmp_path / "beach.jpg"
    image.touch()
    write_sidecar(str(image), keywords("dog"))
    before = (tmp_path / "beach.jpg.xmp").stat()
    assert write_sidecar(str(image), keywords("dog")) == "unchanged"
    after = (tmp_path / "beach.jpg.xmp").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_sidecar_of_another_program_keeps_every_byte_it_had() -> None:
    text = with_keywords(FOREIGN, keywords("dog", "holiday"))
    assert listed(text, "dc:subject") == ["holiday", "Grüße & more", "dog"]
    assert listed(text, "lr:hierarchicalSubject") == ["animals|dog", "animals|holiday"]
    left = iter(text)
    assert all(byte in left for byte in FOREIGN), "a byte of the other program's is gone"
    top = ET.fromstring(text)
    about = {one.get(f"{{{SPACES['rdf']}}}about") for one in top.findall(".//rdf:Description", SPACES)}
    assert about == {"uuid:1"}
    assert with_keywords(text, keywords("dog", "holiday")) == text


def test_what_an_earlier_export_of_the_set_said_is_taken_back_and_no_more() -> None:
    text = with_keywords(FOREIGN, keywords("dog", "cat"))
    text = with_keywords(text, keywords("sunny", label_set="weather"))
    text = with_keywords(text, keywords("cat"))
    assert listed(text, "lr:hierarchicalSubject") == ["animals|cat", "weather|sunny"]
    # Somebody may have typed the plain word.
    assert listed(text, "dc:subject") == ["holiday", "Grüße & more", "dog", "cat", "sunny"]


def test_an_image_without_labels_gets_no_sidecar_and_loses_those_of_the_set(tmp_path: Path) -> None:
    image = tmp_path / "beach.jpg"
    image.touch()
    assert write_sidecar(str(image), keywords()) == "unchanged"
    assert not (tmp_path / "beach.jpg.xmp").exists()
    write_sidecar(str(image), keywords("dog"))
    assert write_sidecar(str(image), keywords()) == "written"
    assert listed((tmp_path / "beach.jpg.xmp").read_bytes(), "lr:hierarchicalSubject") == []


@pytest.mark.parametrize(
    "shape",
    [
        b'<rdf:RDF xmlns:rdf="%s"/>',
        b'<rdf:RDF xmlns:rdf="%s"></rdf:RDF>',
        b'<rdf:RDF xmlns:rdf="%s"><rdf:Description rdf:about=""/></rdf:RDF>',
        b'<rdf:RDF xmlns:rdf="%s"><rdf:Description xmlns:q="http://purl.org/dc/elements/1.1/"><q:subject>'
        b'<rdf:Bag attribute=">"/></q:subject></rdf:Description></rdf:RDF>',
        b'<RDF xmlns="%s"><Description xmlns:q="http://purl.org/dc/elements/1.1/"><q:subject>'
        b"<Bag></Bag></q:subject></Description></RDF>",
    ],
)
def test_keywords_come_into_every_shape_of_an_empty_sidecar(shape: bytes) -> None:
    text = with_keywords(shape % SPACES["rdf"].encode(), keywords("dog"))
    assert listed(text, "dc:subject") == ["dog"]
    assert listed(text, "lr:hierarchicalSubject") == ["animals|dog"]
    assert with_keywords(text, keywords("dog")) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"no xml", "no XML"),
        (b"", "no XML"),
        (b"<a/>", "no rdf:RDF"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "document type"),
        (b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>', "document type"),
        (b"<a>\xff</a>", "UTF-8"),
        (b'<?xml version="1.0" encoding="iso-8859-1"?><a/>', "iso-8859-1"),
        (b"<a>" * 5000, "nested too deeply"),
        (b'<r:RDF xmlns:r="%s"><r:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:subject="x"/></r:RDF>'
         % SPACES["rdf"].encode(), "form that no list has"),
        (b'<r:RDF xmlns:r="%s"><r:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject>x</dc:subject>'
         b"</r:Description></r:RDF>" % SPACES["rdf"].encode(), "form that no list has"),
    ],
)  # fmt: skip
def test_a_sidecar_that_cannot_be_read_safely_is_refused_and_left_alone(
    text: bytes, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "beach.jpg").touch()
    (tmp_path / "beach.jpg.xmp").write_bytes(text)
    with pytest.raises(InvalidInput, match=complaint):
        write_sidecar(str(tmp_path / "beach.jpg"), keywords("dog"))
    assert (tmp_path / "beach.jpg.xmp").read_bytes() == text
    assert sorted(os.listdir(tmp_path)) == ["beach.jpg", "beach.jpg.xmp"]


def test_a_sidecar_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "beach.jpg").touch()
    (tmp_path / "elsewhere").write_bytes(FOREIGN)
    (tmp_path / "beach.jpg.xmp").symlink_to("elsewhere")
    with pytest.raises(InvalidInput, match="a link"):
        write_sidecar(str(tmp_path / "beach.jpg"), keywords("dog"))
    assert (tmp_path / "elsewhere").read_bytes() == FOREIGN


@given(st.lists(st.text(max_size=20), max_size=6), st.text(min_size=1, max_size=10))
def test_any_label_is_read_back_as_a_keyword(words: list[str], label_set: str) -> None:
    wanted = keywords(*words, label_set=label_set)
    text = with_keywords(FOREIGN, wanted)
    assert listed(text, "lr:hierarchicalSubject") == list(wanted.hierarchical)
    assert set(listed(text, "dc:subject")) == {"holiday", "Grüße & more", *wanted.plain}
    assert with_keywords(text, wanted) == text
    assert not any("|" in word for word in wanted.plain)
