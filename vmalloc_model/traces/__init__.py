"""Recorded kernel behaviour as tables: traces, ``/proc/vmallocinfo``, operation logs.

Each reader takes a path (plain, gzip or zstd, told apart by content, not by name; or a ``run.npz``,
see `vmalloc_model.traces.stored`) and either returns everything the file says or raises one
`vmalloc_model.errors.FileError` that names file and line.
"""
