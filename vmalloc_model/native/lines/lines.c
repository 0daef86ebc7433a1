/* Lines of trace text that have exactly the shape of a vmalloc event:
 *
 *     anything [cpu] flags seconds.fraction: event: fields
 *
 * A line is taken only if every character from the bracketed CPU on is as expected, and then it says
 * what the regular expressions of traces/ftrace.py would read. The fields of these events hold no
 * bracket, so the last `[` of such a line is that of the CPU.
 */
#define _GNU_SOURCE /* memrchr */
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

/* One event as in vmalloc_model/traces/events.py, without gaps: its numbers lie at any address. */
typedef uint64_t number __attribute__((aligned(1)));
typedef int64_t signed_number __attribute__((aligned(1)));

struct __attribute__((packed)) event {
    signed_number line, time;
    int32_t cpu, phase;
    uint8_t kind, failed;
    number start, end, size, align, vstart, vend;
    signed_number count, limit;
};

enum kind { ALLOC = 1, PURGE, FREE };

/* What is left of a line. */
struct rest {
    const char *at, *end;
};

/* The text if it comes next; inlined, so that its length is known. */
INLINE int text(struct rest *r, const char *expected)
{
    size_t length = strlen(expected);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, expected, length))
        return 0;
    r->at += length;
    return 1;
}

INLINE void spaces(struct rest *r)
{
    while (r->at < r->end && *r->at == ' ')
        r->at++;
}

/* A decimal number of 64 bits. */
INLINE int decimal(struct rest *r, number *value)
{
    const char *first = r->at;
    uint64_t result = 0;
    int over = 0;
    for (; r->at < r->end && (unsigned char)(*r->at - '0') < 10; r->at++) {
        uint64_t digit = (uint64_t)(*r->at - '0');
        if (r->at - first >= 19) /* so many digits always fit */
            over |= r->at - first > 19 || result > (UINT64_MAX - digit) / 10;
        result = result * 10 + digit;
    }
    *value = result;
    return r->at > first && !over;
}

/* A decimal number of 63 bits. */
INLINE int count(struct rest *r, signed_number *value)
{
    uint64_t result;
    int fine = decimal(r, &result) && result <= INT64_MAX;
    *value = (int64_t)result;
    return fine;
}

INLINE int hexadecimal(struct rest *r, number *value)
{
    const char *first = r->at;
    uint64_t result = 0;
    for (; r->at < r->end; r->at++) {
        unsigned char digit = (unsigned char)(*r->at - '0');
        if (digit >= 10) {
            digit = (unsigned char)(*r->at - 'a');
            if (digit >= 6)
                break;
            digit += 10;
        }
        result = result << 4 | digit;
    }
    *value = result;
    return r->at > first && r->at - first <= 16;
}

/* From the name of the event to the end of the line. */
INLINE int read_event(struct rest *r, struct event *e)
{
    uint64_t failed = 0;
    int fine;
    if (text(r, "free_vmap_area_noflush: ")) {
        e->kind = FREE;
        spaces(r);
        fine = text(r, "va_start=0x") && hexadecimal(r, &e->start) && text(r, " nr_lazy=") &&
               count(r, &e->count) && text(r, " nr_lazy_max=") && count(r, &e->limit);
    } else if (text(r, "alloc_vmap_area: ")) {
        e->kind = ALLOC;
        spaces(r);
        fine = text(r, "va_start: ") && decimal(r, &e->start) && text(r, " size=") &&
               decimal(r, &e->size) && text(r, " align=") && decimal(r, &e->align) &&
               text(r, " vstart=0x") && hexadecimal(r, &e->vstart) && text(r, " vend=0x") &&
               hexadecimal(r, &e->vend) && text(r, " failed=") && decimal(r, &failed);
        e->failed = (uint8_t)failed;
    } else {
        e->kind = PURGE;
        fine = text(r, "purge_vmap_area_lazy: ");
        spaces(r);
        fine = fine && text(r, "start=0x") && hexadecimal(r, &e->start) && text(r, " end=0x") &&
               hexadecimal(r, &e->end) && text(r, " num_purged=") && count(r, &e->count);
    }
    return fine && failed <= 1 && r->at == r->end;
}

/* `seconds.fraction` between the last space before the colon and the colon. */
INLINE int read_time(const char *first, const char *colon, signed_number *time)
{
    const char *begin = colon;
    uint64_t seconds, fraction;
    while (begin > first && begin[-1] != ' ')
        begin--;
    struct rest r = {begin, colon};
    if (begin == first || !decimal(&r, &seconds) || r.at - begin > 12 || !text(&r, "."))
        return 0;
    begin = r.at;
    if (!decimal(&r, &fraction) || r.at != colon)
        return 0;
    if (colon - begin == 9)
        fraction /= 1000;
    else if (colon - begin != 6)
        return 0;
    *time = (int64_t)(seconds * 1000000 + fraction);
    return 1;
}

static int read_line(const char *line, const char *end, struct event *e)
{
    const char *bracket = memrchr(line, '[', (size_t)(end - line));
    uint64_t cpu;
    if (!bracket || (bracket > line && bracket[-1] != ' '))
        return 0;
    struct rest r = {bracket + 1, end};
    if (!decimal(&r, &cpu) || r.at - bracket > 6 || !text(&r, "]"))
        return 0;
    const char *flags = r.at;
    while (r.at < end && *r.at != ':' && *r.at != ']' && *r.at != '=')
        r.at++;
    if (r.at == end || !read_time(flags, r.at, &e->time) || !text(&r, ": "))
        return 0;
    e->cpu = (int32_t)cpu;
    spaces(&r);
    text(&r, "vmalloc:"); /* perf names the system too */
    return read_event(&r, e);
}

/* Read whole lines from `*at` on, up to the first that is not of this shape. `*line` is the number of
 * the first line; both are moved on. Returns how many events there were; `events` has room for them. */
EXPORT int64_t lines_read(const char *data, int64_t size, int64_t *at, int64_t *line, int32_t phase,
                          struct event *events)
{
    struct event *e = events;
    while (*at < size) {
        const char *begin = data + *at;
        const char *end = memchr(begin, '\n', (size_t)(size - *at));
        memset(e, 0, sizeof *e);
        if (!end || !read_line(begin, end, e))
            break;
        e->line = (*line)++;
        e->phase = phase;
        e++;
        *at = end + 1 - data;
    }
    return e - events;
}
