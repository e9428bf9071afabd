"""docs/fields.md says what is declared, and every declared field has a true example."""

import pytest

from docs.fields import FILE, document, programs_by_field
from mailingest.config import Settings
from mailingest.postfix.fields import CONVERTERS, FIELDS, Field
from mailingest.postfix.programs import COMPANIONS, PROGRAMS
from mailingest.wiring import read_definitions


def test_the_file_is_up_to_date() -> None:
    assert FILE.read_text("utf-8") == document(), "run `python -m docs.fields`"


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_has_an_example_of_its_type(field: Field) -> None:
    assert field.example
    if field.name in CONVERTERS:
        CONVERTERS[field.name](field.example)
    assert document().count(f"\n| `{field.name}` | {field.type} | ") == 1


def test_every_field_of_a_program_is_in_one_of_its_patterns() -> None:
    programs = programs_by_field(read_definitions(Settings()))
    names = [field.name for field in FIELDS]
    of_programs = names[names.index("postfix_queueid") :]

    assert [name for name in of_programs if name not in programs] == []


def test_the_programs_of_a_field_are_those_whose_patterns_have_it() -> None:
    programs = programs_by_field(read_definitions(Settings()))

    assert programs["postfix_queueid"].split(", ")[0] == "every Postfix program"
    assert programs["postfix_postscreen_access"] == "postscreen"
    assert programs["postfix_bounce_reason"] == "bounce"
    assert programs["postfix_disposition"] == "from a reply"
    assert programs["postfix_status"].startswith("every delivery agent, ")
    assert "qmgr" in programs["postfix_size"].split(", ")
    known = {*PROGRAMS, *COMPANIONS, "from a reply", "from the whole line", "any other transport"}
    known |= {"every Postfix program", "every delivery agent"}
    assert {one for text in programs.values() for one in text.split(", ")} <= known
