"""The pure core: bytes and clock values in, documents out; no sockets, files, clock or logging.

::

    bytes -> frames -> records -> events -> correlation -> documents -> bulk
                        clock      grok
"""
