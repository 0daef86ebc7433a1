"""Citing the report in a plain-text mail.

====================================  ==============================================================
`vmalloc_model.citing.results`        a finished figure or table, as its plain text shows it
`vmalloc_model.citing.rows`           which rows of a long table a mail gets
`vmalloc_model.citing.layout`         a table within the columns of a mail
`vmalloc_model.citing.assumptions`    what each result rests on
`vmalloc_model.citing.claims`         claims of the reviewed mail, and the evidence of each
`vmalloc_model.citing.snippet`        the ten to forty lines of text
`vmalloc_model.citing.forms`          Markdown, BibTeX and JSON of them, and one file with all
`vmalloc_model.citing.cite`           snippets for ids, with any parameters
`vmalloc_model.citing.verify`         finds snippets in a mail and computes them again
====================================  ==============================================================
"""
