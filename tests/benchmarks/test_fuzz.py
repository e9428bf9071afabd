"""What fuzzing has found stays found: the corpus of each target, replayed without the fuzzer."""

from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.fuzz.__main__ import TARGETS
from benchmarks.fuzz.choices import Choices
from benchmarks.fuzz.corpus import CORPUS, inputs, keep
from benchmarks.fuzz.minimising import minimise

MOST_BYTES = 200_000


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_corpus_breaks_a_promise(name: str) -> None:
    check = import_module(f"benchmarks.fuzz.{name}").check
    corpus = list(inputs(CORPUS / name))
    assert corpus
    words = {word for data in corpus for word in check(data)}
    assert words


@pytest.mark.parametrize("name", TARGETS)
def test_no_seed_breaks_a_promise(name: str) -> None:
    target = import_module(f"benchmarks.fuzz.{name}")
    # Of the many of some targets, those that begin alike would only do the same.
    for data in [*target.seeds()][::50]:
        target.check(data)


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < MOST_BYTES


def test_an_input_that_is_too_short_decides_nothing() -> None:
    choices = Choices(b"\1\2\3")
    assert (choices.one_of("abc"), choices.number(), choices.byte()) == ("b", 0x0203, 0)
    assert choices.rest() == b""


def test_a_minimised_corpus_reaches_the_same_with_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, found = tmp_path / "corpus", tmp_path / "found"
    monkeypatch.setattr("benchmarks.fuzz.minimising.CORPUS", corpus)
    keep(corpus / "letters", [b"a", b"c"])
    keep(found, [b"ab", b"abc", b"broken", b"b" * 9])
    (corpus / "letters" / "found-by-somebody").write_bytes(b"x")

    def check(data: bytes) -> list[str]:
        if data == b"broken":
            raise AssertionError
        return [*data.decode()]

    assert minimise(check, [found], "letters", 60).startswith("letters: 2 of 7 inputs, 4 bytes")
    assert sorted(inputs(corpus / "letters")) == [b"abc", b"x"]
    assert (corpus / "letters" / "found-by-somebody").read_bytes() == b"x"
