"""Recorded kernel behaviour as tables: ftrace text, ``/proc/vmallocinfo``, operation logs.

Each reader takes a path (plain or gzip, told apart by content, not by name) and either returns
everything the file says or raises one `vmalloc_model.errors.FileError` that names file and line.
"""
