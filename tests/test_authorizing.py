"""API keys: what is kept of them, when they hold, and that a wrong one is found out as any other wrong one is."""

from __future__ import annotations

import datetime as dt
import hmac
import re
import threading

import pytest
from sqlalchemy import text

from clipsearch.answers.access import Scope
from clipsearch.authorizing import check_key, create_key, has_valid_key, key_by_prefix, list_keys, note_use, revoke_key
from clipsearch.errors import InvalidInput, InvalidKey, KeyNotFound
from clipsearch.library import Library

DAY = dt.timedelta(days=1)


def age(library: Library, column: str, by: dt.timedelta) -> None:
    """Have a time of every key lie further back."""
    with library.database.write() as connection:
        from clipsearch.database.access_schema import api_key

        for number, stamp in connection.execute(api_key.select().with_only_columns(api_key.c.id, api_key.c[column])):
            connection.execute(api_key.update().where(api_key.c.id == number).values({column: stamp - by}))


def test_a_key_is_known_again_with_what_it_allows(any_library: Library) -> None:
    made = create_key(any_library, "the camera", scope="write", lifetime=DAY)
    assert re.fullmatch(r"cs_[0-9a-f]{12}_[0-9a-f]{64}", made.key)
    known = check_key(any_library, made.key)
    assert (known.prefix, known.name, known.scopes) == (made.prefix, "the camera", ["read", "write"])
    assert known.expires_at is not None
    assert known.expires_at - known.created_at == DAY
    assert key_by_prefix(any_library, made.prefix) == known


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("read", ["read"]), ("write", ["read", "write"]), ("admin", ["read", "write", "admin"])],
)
def test_each_scope_allows_those_below_it(library: Library, scope: Scope, allowed: list[str]) -> None:
    assert create_key(library, "x", scope=scope).scopes == allowed


def test_nothing_of_the_secret_is_kept_or_shown_again(any_library: Library) -> None:
    made = create_key(any_library, "x")
    secret = made.key.rpartition("_")[2]
    with any_library.database.read() as connection:
        rows = str(connection.execute(text("SELECT * FROM api_key")).all())
    assert made.prefix in rows
    assert secret not in rows
    assert secret not in repr(made) + str(made) + repr(list_keys(any_library)) + repr(check_key(any_library, made.key))
    assert secret not in list_keys(any_library).model_dump_json()


def test_no_two_keys_are_alike(library: Library) -> None:
    made = [create_key(library, "x").key for _ in range(20)]
    assert len({key.split("_")[1] for key in made}) == len({key.split("_")[2] for key in made}) == 20


def test_a_key_that_was_revoked_is_refused_and_stays_on_the_list(any_library: Library) -> None:
    made, other = create_key(any_library, "x"), create_key(any_library, "y")
    revoked = revoke_key(any_library, made.prefix)
    assert revoked.state == "revoked"
    with pytest.raises(InvalidKey, match=f"cs_{made.prefix}_… was revoked"):
        check_key(any_library, made.key)
    with pytest.raises(InvalidKey):
        key_by_prefix(any_library, made.prefix)
    assert [key.state for key in list_keys(any_library).keys] == ["revoked", "valid"]
    assert check_key(any_library, other.key).name == "y"
    assert revoke_key(any_library, made.prefix).revoked_at == revoked.revoked_at


def test_a_key_is_revoked_by_its_prefix_however_that_is_written(library: Library) -> None:
    for form in ("{prefix}", "cs_{prefix}", "cs_{prefix}_", "{key}"):
        made = create_key(library, "x")
        assert revoke_key(library, form.format(prefix=made.prefix, key=made.key)).prefix == made.prefix
    with pytest.raises(KeyNotFound, match="clipsearch keys list"):
        revoke_key(library, "nothing")


def test_a_key_that_expired_is_refused_and_says_when(any_library: Library) -> None:
    made = create_key(any_library, "x", lifetime=DAY)
    age(any_library, "expires_at", DAY)
    with pytest.raises(InvalidKey, match=r"expired on \d{4}-"):
        check_key(any_library, made.key)
    assert list_keys(any_library).keys[0].state == "expired"
    assert not has_valid_key(any_library)


def test_whoever_holds_no_key_learns_nothing_of_the_prefixes_there_are(library: Library) -> None:
    made = create_key(library, "x", lifetime=DAY)
    revoke_key(library, made.prefix)
    words = set()
    for key in (f"cs_{made.prefix}_{'0' * 64}", f"cs_{'0' * 12}_{'0' * 64}", "cs_", "hello"):
        with pytest.raises(InvalidKey) as refusal:
            check_key(library, key)
        words.add((refusal.value.message, str(refusal.value.details)))
    assert len(words) == 1


ODD = ["", " ", "cs_", "cs__", "Bearer", "cs_ä_" + "0" * 64, "ключ", "\N{SNOWMAN}" * 80, "\x00", "cs_" + "a" * 100_000,
       "\ud800", "cs_abcdef012345_" + "0" * 63, "cs_abcdef012345_" + "0" * 65, "CS_ABCDEF012345_" + "0" * 64,
       "cs_abcdef012345_" + "0" * 64 + "\n", "٣" * 80]  # fmt: skip


@pytest.mark.parametrize("key", ODD, ids=range(len(ODD)))
def test_what_has_not_the_form_of_a_key_is_refused_as_a_wrong_one(any_library: Library, key: str) -> None:
    create_key(any_library, "x")
    with pytest.raises(InvalidKey, match="no key of this library"):
        check_key(any_library, key)


def test_right_and_wrong_prefixes_take_the_same_way(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look-up of as many statements, and one comparison of bytes of the same length, whatever is sent."""
    made = create_key(library, "x")
    compared: list[tuple[int, int, type, type]] = []
    compare = hmac.compare_digest

    def watched(first: bytes, second: bytes) -> bool:
        compared.append((len(first), len(second), type(first), type(second)))
        return compare(first, second)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    statements: list[list[str]] = []
    from sqlalchemy import event

    with library.database.read() as connection:
        engine = connection.engine
    for key in (made.key, f"cs_{made.prefix}_{'0' * 64}", f"cs_{'0' * 12}_{'0' * 64}", "nothing"):
        seen: list[str] = []
        statements.append(seen)

        def note(_connection: object, _cursor: object, statement: str, *_: object, seen: list[str] = seen) -> None:
            seen.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            check_key(library, key)
        except InvalidKey:
            pass
        finally:
            event.remove(engine, "before_cursor_execute", note)
    assert len(statements[0]) >= 1
    assert all(one == statements[0] for one in statements)
    assert compared == [(64, 64, bytes, bytes)] * 4


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "\x1b[31m", "a\x00"])
def test_a_name_that_is_no_line_of_text_is_refused(library: Library, name: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        create_key(library, name)


@pytest.mark.parametrize("lifetime", [dt.timedelta(0), -DAY, 4000 * DAY, dt.timedelta.max])
def test_a_lifetime_that_cannot_be_is_refused(library: Library, lifetime: dt.timedelta) -> None:
    with pytest.raises(InvalidInput, match="ten years"):
        create_key(library, "x", lifetime=lifetime)


def test_the_last_use_is_written_once_a_minute(any_library: Library) -> None:
    made = create_key(any_library, "x")
    note_use(any_library, made)
    first = list_keys(any_library).keys[0].last_used_at
    assert first is not None
    note_use(any_library, made)
    assert list_keys(any_library).keys[0].last_used_at == first
    age(any_library, "last_used_at", dt.timedelta(seconds=61))
    note_use(any_library, made)
    again = list_keys(any_library).keys[0].last_used_at
    assert again is not None
    assert again >= first


def test_many_threads_check_keys_while_keys_are_made(any_library: Library) -> None:
    made = create_key(any_library, "x")
    wrong: list[object] = []

    def check() -> None:
        for _ in range(20):
            try:
                if check_key(any_library, made.key).prefix != made.prefix:
                    wrong.append("another key")
            except Exception as error:  # noqa: BLE001  told below
                wrong.append(error)

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(5):
        create_key(any_library, f"more {number}")
    for thread in threads:
        thread.join()
    assert wrong == []
