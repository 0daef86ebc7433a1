/* What every part of the engine needs: fixed types, growing tables, checked places. */
#ifndef COMMON_H
#define COMMON_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int64_t word;

#define EXPORT __attribute__((visibility("default")))
#define NOTHING ((word)-1) /* no address: a search that found nothing */
#define FAR INT64_MAX      /* above every page */

/* CHECK verifies what the engine relies on; only the checked build pays for it. */
#ifdef CHECKED
#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                                  \
        }                                                                             \
    } while (0)
#else
#define CHECK(condition) ((void)0)
#endif

static inline word smaller(word a, word b) { return a < b ? a : b; }
static inline word larger(word a, word b) { return a > b ? a : b; }

/* The address in pages at or above `page` that is a multiple of 2**order. */
static inline word align_up(word page, word order)
{
    word align = (word)1 << order;
    return (page + align - 1) & -align;
}

/* Memory for `count` things of `size` bytes where `old` were; new ones are zero. */
static inline void *resized(void *memory, word old, word count, word size)
{
    char *more = realloc(memory, (size_t)(count * size));
    if (!more) {
        fprintf(stderr, "out of memory: %lld bytes\n", (long long)(count * size));
        abort();
    }
    if (count > old)
        memset(more + old * size, 0, (size_t)((count - old) * size));
    return more;
}

#endif
