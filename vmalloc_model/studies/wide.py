"""Tidy tables made wide: the compact form that a figure's plain text prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

__all__ = ["wide"]


def wide(
    table: pl.DataFrame,
    rows: Sequence[str],
    columns: str | pl.Expr,
    values: str,
    text: Callable[[Any], str],
) -> pl.DataFrame:
    """Put the values of a tidy table into rows and columns, as text.

    Parameters
    ----------
    table : polars.DataFrame
        At most one row for each pair of row and column.
    rows : sequence of str
        Columns that name a row.
    columns : str or polars.Expr
        What names a column.
    values : str
        Column with the values.
    text : callable
        Prints one value; a pair that is not in the table becomes ``-``.

    Returns
    -------
    polars.DataFrame
        Rows and columns in the order in which the table has them first.
    """
    named = pl.col(columns) if isinstance(columns, str) else columns
    printed = table.select(
        *rows,
        named.cast(pl.String).alias("column"),
        pl.Series("value", [text(value) for value in table[values]], dtype=pl.String),
    )
    return printed.pivot(
        "column", index=list(rows), values="value", maintain_order=True
    ).with_columns(pl.exclude(*rows).fill_null("-"))
