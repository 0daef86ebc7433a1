"""Which chunk sizes one configuration leaves, what binds, and what the overlay does there.

`arguments` judges sizes by the three arguments, `changes` finds what would leave one where none is
left, `play` runs streams through designs and applies the rule of chapter *Alternatives*, `words`
and `played_words` say all of it.
"""
