"""Errors, one class for each thing the caller does next."""


class MailingestError(Exception):
    """Root of all errors that mailingest raises on purpose."""


class UsageError(MailingestError):
    """Refuse to start: configuration, patterns, a file or an address is wrong (exit code 2).

    The message is one line that names the place and the fix.
    """


class QuestionError(UsageError):
    """A question cannot be asked as it was typed: whoever typed it may ask another one.

    The message is for a command line; ``reason`` and ``values`` say the same to a page that words
    it itself, in the language of its reader.
    """

    def __init__(self, message: str, reason: str, **values: object) -> None:
        super().__init__(message)
        self.reason = reason
        self.values = values


class StoreUnavailable(MailingestError):
    """The store cannot take the batch or be asked now: try the same again later.

    The exit code is 1; that of `mailingest trace` is 4, since 1 means there that there is no such
    mail.  An answer that was had in part is no error (`mailingest.stores.gaps`), and its code 3.
    """


def sole_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error in a group, however deep, such as what ended a TaskGroup; else the group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return group if isinstance(error, BaseExceptionGroup) else error
