"""What ended a group of tasks is found in it."""

from mailingest.errors import StoreUnavailable, UsageError, sole_error


def test_the_one_error_of_nested_groups_is_found() -> None:
    error = UsageError("no such directory")
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [error])])
    assert sole_error(group) is error


def test_of_several_errors_none_is_hidden() -> None:
    group = ExceptionGroup("both", [UsageError("a"), ExceptionGroup("", [StoreUnavailable("b")])])
    assert sole_error(group) is group
