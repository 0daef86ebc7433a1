"""The drawings of the report: one module per figure, each with ``chart(table) -> altair.Chart``.

A chart takes the tidy table behind its figure and runs no model. The package imports nothing here,
so that a notebook depends on the charts it shows and on no other.
"""
