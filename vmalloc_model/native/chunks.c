/* The overlay: each CPU's chunk, and the list of chunks.
 *
 * Source: patches 10/12 (vmap_bump_alloc, vmap_bump_refill), 11/12 and 12/12 (vmap_bump_eligible).
 * The twin in plain Python is allocator/reference_chunks.py. A refill installs on the CPU that
 * asked: one request runs at a time.
 */
#include "state.h"

static int is_eligible(struct allocator *m, word pages, word order, word window, word flags)
{
    word half = m->set[CHUNK_PAGES] / 2;
    if (window || pages > half)
        return 0;
    if (m->set[ELIGIBILITY] == BY_MESSAGE)
        return !order && !(flags & NUMA_NODE);
    return ((word)1 << order) <= half;
}

/* Take a range at a CPU's pointer, which moves behind it; NOTHING if there is no room. */
static word bump(struct allocator *m, word cpu, word pages, word order)
{
    int32_t current = m->cpu[cpu].current;
    m->did[LOCK_CHUNK]++;
    if (current) {
        struct chunk *chunk = &m->chunk[current];
        word start = align_up(chunk->bump, order);
        if (start + pages <= chunk->base + m->set[CHUNK_PAGES]) {
            m->did[BUMP_HITS]++;
            m->did[PADDING_PAGES] += start - chunk->bump;
            chunk->bump = start + pages;
            chunk->served++;
            if (m->set[RESIDENT])
                chunk->count += pages;
            return start;
        }
    }
    m->did[BUMP_MISSES]++;
    return NOTHING;
}

/* Place of the first chunk in the list that is not older than this one. */
static int32_t place_in_list(struct allocator *m, int32_t chunk)
{
    int32_t low = 0, high = m->list_length;
    while (low < high) {
        int32_t middle = (low + high) / 2;
        if (m->listed[middle] < chunk)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Return a chunk's whole range to the global free space, and take it off the list. */
static void release_chunk(struct allocator *m, int32_t c)
{
    m->chunk[c].released = 1;
    m->did[LOCK_LIST]++;
    m->did[LOCK_GLOBAL]++;
    m->did[CHUNKS_RELEASED]++;
    for (word k = 0; k < m->set[CPUS]; k++)
        m->did[RELEASED_WHILE_CURRENT] += m->cpu[k].current == c;
    int32_t place = place_in_list(m, c);
    CHECK(place < m->list_length && m->listed[place] == c);
    m->list_length--;
    memmove(&m->listed[place], &m->listed[place + 1],
            (size_t)(m->list_length - place) * sizeof m->listed[0]);
    m->did[PAGES_FREED_TWICE] += release_over(m->space, m->chunk[c].base, m->set[CHUNK_PAGES]);
}

/* Make a reserved range a CPU's current chunk, and leave the one it had. */
static void install(struct allocator *m, word cpu, word base)
{
    if (m->chunks == m->chunk_room) {
        word room = 2 * (word)m->chunk_room;
        m->chunk = resized(m->chunk, m->chunk_room, room, sizeof(struct chunk));
        m->listed = resized(m->listed, m->chunk_room, room, sizeof m->listed[0]);
        m->chunk_room = (int32_t)room;
    }
    int32_t new = m->chunks++, old = m->cpu[cpu].current;
    word end = base + m->set[CHUNK_PAGES];
    m->chunk[new] = (struct chunk){.base = base, .bump = base, .cpu = cpu};
    m->listed[m->list_length++] = new;
    m->cpu[cpu].current = new;
    m->now[LOW] = smaller(m->now[LOW], base);
    m->now[HIGH] = larger(m->now[HIGH], end);
    m->now[HIGH_WATER] = larger(m->now[HIGH_WATER], end);
    m->did[REFILLS]++;
    m->did[LOCK_LIST] += m->set[RESIDENT];
    if (!old)
        return;
    struct chunk *left = &m->chunk[old];
    m->did[TAIL_PAGES] += left->base + m->set[CHUNK_PAGES] - left->bump;
    if (m->set[RESIDENT] && !left->count) {
        m->did[CHUNKS_DRAINED_AT_REFILL]++;
        if (m->set[RELEASE_AT_REFILL] && !left->released)
            release_chunk(m, old);
    }
}

/* Ask the CPU's chunk, refill it if the rules say so, and ask again; page or NOTHING. */
static word from_chunk(struct allocator *m, word cpu, word pages, word order, word window,
                       word flags)
{
    int eligible = is_eligible(m, pages, order, window, flags);
    for (int attempt = 0;; attempt++) {
        if (eligible) {
            word start = bump(m, cpu, pages, order);
            if (start != NOTHING)
                return start;
        } else {
            m->did[INELIGIBLE]++;
        }
        if (attempt || !(eligible || m->set[REFILL_ON_NULL]))
            return NOTHING;
        m->did[LOCK_GLOBAL]++;
        word base = reserve(m->space, m->set[CHUNK_PAGES], 0, m->window[0], m->window[1]);
        if (base == NOTHING) {
            m->did[REFILL_FAILURES]++;
            return NOTHING;
        }
        install(m, cpu, base);
    }
}

static inline int holds(struct allocator *m, int32_t chunk, word page)
{
    word base = m->chunk[chunk].base;
    return chunk && base <= page && page < base + m->set[CHUNK_PAGES];
}

/* Count what it takes to look for the chunk of an address that a CPU frees.
 *
 * Addresses outside the bounds of all chunks there ever were are refused at once; then the CPU's own
 * chunk is compared, then those on the list, the newest first. `home` is the chunk the area belongs
 * to, 0 for an ordinary area.
 */
static void look_up(struct allocator *m, word start, word cpu, int32_t home)
{
    if (start < m->now[LOW] || start >= m->now[HIGH])
        return;
    m->did[LOOKUPS]++;
    m->did[LOOKUP_STEPS]++;
    if (holds(m, m->cpu[cpu].current, start))
        return;
    if (!m->now[MIXED] && !(home && m->chunk[home].released)) {
        /* Chunks on the list and ordinary areas are disjoint: where a walk ends is known. */
        m->did[LOOKUP_STEPS] += m->list_length - (home ? place_in_list(m, home) : 0);
        return;
    }
    for (int32_t k = m->list_length; k--;) {
        m->did[LOOKUP_STEPS]++;
        if (holds(m, m->listed[k], start))
            return;
    }
}

/* Take a freed area off its chunk's count; release the chunk if that was the last of it. 0 if the
 * chunk had been released before: nothing more happens to the area then. */
static int give_up(struct allocator *m, int32_t home, word pages, word cpu)
{
    struct chunk *chunk = &m->chunk[home];
    chunk->count -= pages;
    if (chunk->released) {
        m->did[LOST_FREES]++;
        return 0;
    }
    if (!chunk->count && m->set[RELEASE] == DRAINED &&
        m->cpu[m->set[BY_FREEING] ? cpu : chunk->cpu].current != home)
        release_chunk(m, home);
    return 1;
}

/* Do what a policy does with chunks at the end of a purge; nothing is lazy then. Only chunks with
 * areas in this purge are looked at: one that was empty and purged already when it was replaced
 * stays lost. */
static void end_purge(struct allocator *m)
{
    if (m->set[RELEASE] == PURGED) {
        for (int32_t k = 0; k < m->list_length;) {
            int32_t c = m->listed[k];
            struct chunk *chunk = &m->chunk[c];
            word seen = chunk->seen;
            chunk->seen = 0;
            if (seen && !chunk->count && m->cpu[chunk->cpu].current != c)
                release_chunk(m, c);
            else
                k++;
        }
    }
    if (m->set[REWIND]) {
        for (word k = 0; k < m->set[CPUS]; k++) {
            struct chunk *chunk = &m->chunk[m->cpu[k].current];
            if (m->cpu[k].current && !chunk->count && chunk->bump > chunk->base) {
                chunk->bump = chunk->base;
                m->did[REWINDS]++;
            }
        }
    }
}
