"""The commands that record a trace which the model can use, as text for a reader to run.

Nothing here is executed. Sources: ``Documentation/trace/ftrace.rst``,
``Documentation/admin-guide/kernel-parameters.txt``, ``restricted_pointer()`` in ``lib/vsprintf.c``
of Linux 6.12; the manual pages of trace-cmd, perf and bpftrace, with which nothing was recorded for
this report: its own recordings are ftrace text.
"""

from __future__ import annotations

from typing import Final

__all__ = ["RECIPES", "recipe"]

_BEFORE: Final = """\
# Become root first (sudo -i): tracing and /proc/vmallocinfo need it.
# /proc/vmallocinfo shows hashed addresses unless root asks for them so, or
# the kernel was booted with no_hash_pointers. Trace events are not hashed.
sysctl kernel.kptr_restrict=1
mkdir -p ~/vmalloc-run && cd ~/vmalloc-run
cat /proc/vmallocinfo > vmallocinfo-before.txt
"""

_AFTER: Final = """\
cat /proc/vmallocinfo > vmallocinfo-after.txt
# What the recording lacks, and for what; then one file that stands for it,
# and the chapters of the report for it:
vmalloc-model record trace.txt.gz
vmalloc-model import trace.txt.gz -o run.npz \\
    --vmallocinfo vmallocinfo-before.txt --vmallocinfo vmallocinfo-after.txt
vmalloc-model report run.npz
"""

_BOOT: Final = """\
# Sizes and the order of requests can be had at any time, as above. A replay,
# address by address, needs every event since the boot. Add to the kernel's
# command line, and leave out what switches the events on and empties the
# buffer:
#     trace_event=vmalloc:* trace_buf_size=16M no_hash_pointers
# With several CPUs the text is not in the order of the locks: an allocation
# is printed after its lock was dropped, a purge when it is over. In the
# report's recordings one CPU was replayed without a miss, two were not. For an
# exact replay add nr_cpus=1.
"""

_BUFFER: Final = """\
# An event takes about 60 bytes, so 16384 KiB hold about 250,000 events for
# each CPU. When the buffer is full the oldest events are gone.
"""

_FTRACE: Final = (
    _BEFORE
    + """\
T=/sys/kernel/tracing          # on old systems /sys/kernel/debug/tracing
echo nop > $T/current_tracer
"""
    + _BUFFER
    + """\
echo 16384 > $T/buffer_size_kb
echo > $T/trace                # empties the buffer
echo 1 > $T/events/vmalloc/enable
echo 1 > $T/tracing_on
echo "KERNEL $(uname -r)" > $T/trace_marker
echo "MARK work" > $T/trace_marker     # a phase begins; as many as you like
# ... the workload ...
echo "MARK end" > $T/trace_marker
echo 0 > $T/events/vmalloc/enable
gzip -c $T/trace > trace.txt.gz
# Both numbers must be equal, else make the buffer larger:
zcat trace.txt.gz | grep -m 1 entries-in-buffer
"""
    + _AFTER
    + _BOOT
)

_TRACE_CMD: Final = (
    _BEFORE
    + _BUFFER
    + """\
# Put your workload in place of `sleep 60`. It may begin a phase with
#     echo "MARK name" > /sys/kernel/tracing/trace_marker
trace-cmd record -e vmalloc -b 16384 -o trace.dat sleep 60
trace-cmd report trace.dat | gzip > trace.txt.gz
"""
    + _AFTER
    + _BOOT
)

_PERF: Final = (
    _BEFORE
    + """\
# Put your workload in place of `sleep 60`. perf records no marks, so there
# will be no phases, and nothing from before it was started: not for a replay.
perf record -a -e 'vmalloc:*' -m 16M -o perf.data -- sleep 60
perf script -i perf.data --header --show-lost-events | gzip > trace.txt.gz
"""
    + _AFTER
)

_BPFTRACE: Final = (
    _BEFORE
    + """\
# Prints the lines that ftrace would print, until you press Ctrl-C. Events of
# several CPUs may come out of order, and there is nothing from before it was
# started: for sizes, not for a replay.
cat > vmalloc.bt <<'END'
tracepoint:vmalloc:alloc_vmap_area {
  printf("%s-%d [%03d] ", comm, tid, cpu);
  printf("%d.%06d: ", nsecs / 1000000000, nsecs % 1000000000 / 1000);
  printf("alloc_vmap_area: va_start: %lu size=%lu align=%lu ",
         args->addr, args->size, args->align);
  printf("vstart=0x%lx vend=0x%lx failed=%d\\n",
         args->vstart, args->vend, args->failed);
}
tracepoint:vmalloc:free_vmap_area_noflush {
  printf("%s-%d [%03d] ", comm, tid, cpu);
  printf("%d.%06d: ", nsecs / 1000000000, nsecs % 1000000000 / 1000);
  printf("free_vmap_area_noflush: va_start=0x%lx nr_lazy=%lu nr_lazy_max=%lu\\n",
         args->va_start, args->nr_lazy, args->nr_lazy_max);
}
tracepoint:vmalloc:purge_vmap_area_lazy {
  printf("%s-%d [%03d] ", comm, tid, cpu);
  printf("%d.%06d: ", nsecs / 1000000000, nsecs % 1000000000 / 1000);
  printf("purge_vmap_area_lazy: start=0x%lx end=0x%lx num_purged=%u\\n",
         args->start, args->end, args->npurged);
}
END
bpftrace vmalloc.bt | gzip > trace.txt.gz
"""
    + _AFTER
)

RECIPES: Final = {
    "ftrace": _FTRACE,
    "trace-cmd": _TRACE_CMD,
    "perf": _PERF,
    "bpftrace": _BPFTRACE,
}
"""Tool -> commands for a shell, with comments: ASCII, lines of at most 80 columns."""


def recipe(tool: str) -> str:
    """Return the commands for a tool, with a first line that says so."""
    return f"# Record the kernel's vmalloc events with {tool}.\n{RECIPES[tool]}"
