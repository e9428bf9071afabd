"""The answer: what became of a mail, per recipient, from the events of its queue IDs.

::

    store or log files -> events -> facts -> stories -> text, JSON, CSV or a page
"""
