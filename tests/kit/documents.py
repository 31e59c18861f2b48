"""Hostile JSON: documents with one or more parts replaced by what no honest peer would send.

``pytest --hypothesis-profile=fuzz`` tries 20,000 of each kind.
"""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.sampled_from([10**400, -(10**400), 2**63, 2**31, -1, 0, 1e308, 5e-324, 0.1, True]),
    st.floats(),
    st.integers(),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["9" * 5000, "\ud800", "x" * 100_000, "\0", "٣", "²", "1e999", "-1", "%", "9%"]
    ),
)
HOSTILE = st.recursive(
    st.one_of(st.none(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def paths(value: object, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every part of a JSON value, the whole excepted."""
    parts: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        parts = [*value.items()]
    elif isinstance(value, list):
        parts = [*enumerate(value)]
    return [way for key, part in parts for way in ((*here, key), *paths(part, (*here, key)))]


@st.composite
def spoilt(draw: st.DrawFn, *honest: Any) -> Any:
    """One of the `honest` documents with up to three parts replaced or left out."""
    document = copy.deepcopy(draw(st.sampled_from(honest)))
    for _ in range(draw(st.integers(1, 3))):
        found = paths(document)
        if not found:
            break
        *above, last = draw(st.sampled_from(found))
        part = document
        for key in above:
            part = part[key]
        if isinstance(part, dict) and draw(st.booleans()) and draw(st.booleans()):
            del part[last]
        else:
            part[last] = draw(HOSTILE)
    return document
