/* One event after the other: allocation, free, vm_map_ram blocks, per-CPU areas.
 *
 * Source: Linux 6.12 mm/vmalloc.c: alloc_vmap_area, remove_vm_area, new_vmap_block, vb_alloc,
 * vb_free, purge_fragmented_block, pcpu_get_vm_areas; the overlay's step as in patches 10/12 to
 * 12/12. The twin in plain Python is allocator/reference.py.
 */
#include "pools.c"

/* vmalloc_model.events.EVENT */
struct event {
    uint8_t op, flags, window, order;
    uint32_t cpu, slot, pages;
};

/* How an event ended: at anything but DONE it is not usable, and nothing of it was done. */
enum { DONE, IN_USE, NOT_IN_USE, BAD_CPU, BAD_WINDOW, BAD_OPERATION };

static inline void visit_busy(struct allocator *m, word start)
{
    m->did[LOCK_BUSY]++;
    m->node[node_of_address(m, start)].busy_visits++;
}

/* Map pages of the standard window: note the page-table pages needed for the first time. */
static void map_pages(struct allocator *m, word start, word pages)
{
    if (pages < 1 || start < m->window[0] || start >= m->window[1])
        return;
    m->now[TOUCHED_HIGH] = larger(m->now[TOUCHED_HIGH], start + pages);
    /* counted from where a page-table page begins, which is not always where the window does */
    word zero = m->window[0] >> m->region_shift;
    word last = ((start + pages - 1) >> m->region_shift) - zero;
    for (word region = (start >> m->region_shift) - zero; region <= last; region++) {
        uint8_t bit = (uint8_t)(1 << (region & 7));
        if (!(m->touched[region >> 3] & bit)) {
            m->touched[region >> 3] |= bit;
            m->now[REGIONS]++;
        }
    }
}

static inline void note_live(struct allocator *m, word pages)
{
    m->now[LIVE_AREAS]++;
    m->now[LIVE_PAGES] += pages;
    m->now[PEAK_PAGES] = larger(m->now[PEAK_PAGES], m->now[LIVE_PAGES]);
}

/* Free an area: it becomes lazy. */
static void free_area(struct allocator *m, int32_t a, word cpu)
{
    struct area *area = &m->area[a];
    m->did[FREES]++;
    m->did[REMOTE_FREES] += area->cpu != cpu;
    m->now[LIVE_AREAS]--;
    m->now[LIVE_PAGES] -= area->pages;
    if (m->set[RESIDENT]) /* before the busy trees, so also for areas that are in those */
        look_up(m, area->start, cpu, area->home);
    if (!area->home) {
        visit_busy(m, area->start);
    } else if (!give_up(m, area->home, area->pages, cpu)) {
        drop_area(m, a);
        return;
    }
    make_lazy(m, a);
}

/* The link of one of a CPU's two lists of blocks that names a block, or its end. */
static int32_t *link_to(struct allocator *m, word cpu, int queue, int32_t block)
{
    int32_t *link = queue ? &m->cpu[cpu].queue : &m->cpu[cpu].alive;
    while (*link && *link != block)
        link = queue ? &m->block[*link].next_in_queue : &m->block[*link].next_alive;
    return link;
}

static void unlink_block(struct allocator *m, int queue, int32_t block)
{
    struct vmap_block *b = &m->block[block];
    int32_t *link = link_to(m, b->cpu, queue, block);
    if (*link)
        *link = queue ? b->next_in_queue : b->next_alive;
}

/* Give up blocks in which nothing is mapped but pages are left; without force only where less than
 * a quarter of the block is left. By CPU, then by age. */
static void purge_blocks(struct allocator *m, word cpu, int forced)
{
    word size = m->set[BLOCK_PAGES];
    for (word owner = 0; owner < m->set[CPUS]; owner++)
        for (int32_t b = m->cpu[owner].alive, after; b; b = after) {
            struct vmap_block *block = &m->block[b];
            after = block->next_alive;
            if (!block->free || block->free + block->dirty != size ||
                !(forced || block->free < size / 4))
                continue;
            m->did[BLOCK_PURGES]++;
            unlink_block(m, 1, b);
            unlink_block(m, 0, b);
            block->free = 0;
            block->dirty = (int32_t)size;
            free_area(m, block->area, cpu);
        }
}

static word from_global(struct allocator *m, word pages, word order, word window)
{
    m->did[LOCK_GLOBAL]++;
    word start =
        reserve(m->space, pages, order, m->window[2 * window], m->window[2 * window + 1]);
    if (start == NOTHING) {
        m->did[GLOBAL_FAILURES]++;
        return NOTHING;
    }
    m->did[GLOBAL_HITS]++;
    if (!window)
        m->now[HIGH_WATER] = larger(m->now[HIGH_WATER], start + pages);
    return start;
}

/* Allocate an area: pools, chunk, global; or the chunk first. The area, or 0. */
static int32_t allocate(struct allocator *m, word cpu, word pages, word order, word window,
                        word flags)
{
    int overlay = m->set[CHUNK_PAGES] > 0, chunk_first = overlay && m->set[CHUNK_FIRST];
    int32_t owner = 0;
    word start = NOTHING;
    int by_chunk = 0;
    m->did[REQUESTS]++;
    if (chunk_first) {
        start = from_chunk(m, cpu, pages, order, window, flags);
        by_chunk = start != NOTHING;
    }
    if (start == NOTHING && m->set[NODES] > 1 && !window) {
        /* Whether or not its pool has anything, the node gets the area when it is freed. */
        word node = (uint32_t)cpu % (uint32_t)m->set[NODES];
        owner = (int32_t)node + 1;
        int32_t a = take(m, node, pages, order);
        if (a) {
            m->area[a].cpu = (int32_t)cpu;
            visit_busy(m, m->area[a].start);
            return a;
        }
    }
    for (int attempt = 0; start == NOTHING; attempt++) {
        if (attempt == 1) {
            /* Once: everything that is merely kept back returns to the free space. The second
             * round begins at the label `retry`, behind the question to the pools. */
            m->did[OVERFLOW_PURGES]++;
            purge_blocks(m, cpu, 1);
            purge(m, 1);
        } else if (attempt == 2) {
            m->did[FAILURES]++;
            return 0;
        }
        if (overlay && (attempt || !chunk_first)) {
            start = from_chunk(m, cpu, pages, order, window, flags);
            by_chunk = start != NOTHING;
        }
        if (start == NOTHING)
            start = from_global(m, pages, order, window);
    }
    int32_t a = new_area(m, start, pages, (int32_t)cpu, owner);
    if (by_chunk && m->set[RESIDENT])
        m->area[a].home = m->cpu[cpu].current;
    else
        visit_busy(m, start);
    return a;
}

/* Serve a small mapping from a block (vb_alloc); first page or NOTHING. */
static word map_ram(struct allocator *m, word cpu, struct slot *slot, word pages)
{
    int32_t held = 1, size = (int32_t)m->set[BLOCK_PAGES];
    while (held < pages)
        held *= 2;
    int32_t b = m->cpu[cpu].queue;
    while (b && m->block[b].free < held)
        b = m->block[b].next_in_queue;
    if (b) {
        m->did[BLOCK_HITS]++;
    } else {
        int32_t a = allocate(m, cpu, size, __builtin_ctz((unsigned)size), 0, 0);
        if (!a)
            return NOTHING;
        m->did[BLOCKS]++;
        note_live(m, size);
        if (m->blocks == m->block_room) {
            word room = 2 * (word)m->block_room;
            m->block = resized(m->block, m->block_room, room, sizeof(struct vmap_block));
            m->block_room = (int32_t)room;
        }
        b = m->blocks++;
        m->block[b] = (struct vmap_block){.area = a, .cpu = (int32_t)cpu, .free = size};
        *link_to(m, cpu, 1, 0) = b;
        *link_to(m, cpu, 0, 0) = b;
    }
    struct vmap_block *block = &m->block[b];
    word start = m->area[block->area].start + size - block->free;
    block->free -= held;
    if (!block->free)
        unlink_block(m, 1, b);
    slot->held = FAILED - b;
    slot->pages = held;
    return start;
}

/* Give a mapping back (vb_free); the block's area is freed when that was all of it. */
static void unmap_ram(struct allocator *m, int32_t b, int32_t held, word cpu)
{
    struct vmap_block *block = &m->block[b];
    block->dirty += held;
    if (block->dirty == m->set[BLOCK_PAGES]) {
        unlink_block(m, 0, b);
        free_area(m, block->area, cpu);
    }
}

/* Carve a per-CPU area from the top; the area, or 0. */
static int32_t per_cpu(struct allocator *m, word cpu, word pages, word order, word window)
{
    word offset = 0;
    m->did[LOCK_GLOBAL]++;
    word start = top_down(m->space, 1, &offset, &pages, order, m->window[2 * window],
                          m->window[2 * window + 1]);
    if (start == NOTHING)
        return 0;
    visit_busy(m, start);
    m->did[PCPU_AREAS]++;
    return new_area(m, start, pages, (int32_t)cpu, 0);
}

static int one_event(struct allocator *m, const struct event *e, word *out)
{
    if (e->cpu >= m->set[CPUS])
        return BAD_CPU;
    if (e->op < ALLOC || e->op > SHRINK)
        return BAD_OPERATION;
    struct slot *slot = &m->slot[e->slot];
    int32_t held = slot->held;
    word cpu = e->cpu, pages = e->pages;
    *out = NOTHING;
    switch (e->op) {
    case FREE:
        if (!held)
            return NOT_IN_USE;
        slot->held = 0;
        if (held > 0)
            free_area(m, held, cpu);
        else if (held < FAILED)
            unmap_ram(m, FAILED - held, slot->pages, cpu);
        if (m->now[LAZY_PAGES] > m->set[LAZY_MAX] && m->set[AUTO_PURGE])
            purge(m, 0);
        return DONE;
    case PURGE:
        purge_blocks(m, cpu, 0);
        purge(m, 0);
        return DONE;
    case SHRINK:
        for (word n = 0; n < m->set[NODES]; n++)
            decay(m, n, 1);
        return DONE;
    default:
        break;
    }
    if (e->window >= m->set[WINDOWS])
        return BAD_WINDOW;
    if (held > 0 || held < FAILED)
        return IN_USE;
    slot->held = FAILED;
    if (e->op == MAP_RAM && pages <= m->set[BLOCK_MOST]) {
        *out = map_ram(m, cpu, slot, pages);
        if (*out != NOTHING)
            map_pages(m, *out, pages);
        return DONE;
    }
    int32_t a;
    if (e->op == PCPU)
        a = per_cpu(m, cpu, pages, e->order, e->window);
    else if (e->op == MAP_RAM)
        a = allocate(m, cpu, pages, 0, 0, 0);
    else
        a = allocate(m, cpu, pages, e->order, e->window, e->flags);
    if (!a)
        return DONE;
    slot->held = a;
    *out = m->area[a].start;
    note_live(m, pages);
    if (e->op != PCPU && !e->window)
        map_pages(m, *out, pages - (e->op == ALLOC ? e->flags & GUARD : 0));
    return DONE;
}

/* --- for Python -------------------------------------------------------------------------------- */

EXPORT struct allocator *vm_new(int rule, const word *settings, const word *windows)
{
    struct allocator *m = resized(NULL, 0, 1, sizeof *m);
    memcpy(m->set, settings, sizeof m->set);
    m->space = space_make(rule);
    m->window = resized(NULL, 0, 2 * m->set[WINDOWS], sizeof m->window[0]);
    memcpy(m->window, windows, (size_t)(2 * m->set[WINDOWS]) * sizeof m->window[0]);
    m->cpu = resized(NULL, 0, m->set[CPUS], sizeof m->cpu[0]);
    m->node = resized(NULL, 0, m->set[NODES], sizeof m->node[0]);
    m->pool = resized(NULL, 0, m->set[NODES] * SIZES, sizeof m->pool[0]);
    m->area = resized(NULL, 0, m->area_room = 256, sizeof m->area[0]);
    m->chunk = resized(NULL, 0, m->chunk_room = 64, sizeof m->chunk[0]);
    m->listed = resized(NULL, 0, m->chunk_room, sizeof m->listed[0]);
    m->block = resized(NULL, 0, m->block_room = 64, sizeof m->block[0]);
    m->areas = m->chunks = m->blocks = 1;
    m->zone_shift = __builtin_ctzll((uint64_t)m->set[ZONE_PAGES]);
    m->region_shift = __builtin_ctzll((uint64_t)m->set[REGION_PAGES]);
    m->now[LOW] = FAR;
    m->now[HIGH_WATER] = m->now[TOUCHED_HIGH] = m->window[0];
    /* untouched parts of a large piece of zeros take no memory */
    m->touched = calloc((size_t)((m->window[1] - m->window[0]) / m->set[REGION_PAGES] / 8 + 2), 1);
    if (!m->touched)
        abort();
    return m;
}

EXPORT void vm_free(struct allocator *m)
{
    space_drop(m->space);
    void *parts[] = {m->window, m->cpu,  m->node, m->pool, m->area,    m->chunk,
                     m->listed, m->block, m->slot, m->pair, m->touched, m};
    for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++)
        free(parts[k]);
}

/* Do events; the number of those that were done. At one that is not usable `status` says why. */
EXPORT word vm_run(struct allocator *m, const struct event *events, word count, word slots,
                   word *out, int *status)
{
    if (slots > m->slots) {
        word room = larger(slots, 2 * (word)m->slots);
        m->slot = resized(m->slot, m->slots, room, sizeof m->slot[0]);
        m->slots = (int32_t)room;
    }
    *status = DONE;
    for (word k = 0; k < count; k++) {
        /* Slots and areas of coming events lie anywhere: have them on their way. */
        if (k + 12 < count && events[k + 12].slot < (uint32_t)m->slots)
            __builtin_prefetch(&m->slot[events[k + 12].slot]);
        if (k + 6 < count) {
            int32_t held = m->slot[events[k + 6].slot].held;
            if (held > 0)
                __builtin_prefetch(&m->area[held], 1);
        }
        *status = one_event(m, &events[k], &out[k]);
        if (*status != DONE)
            return k;
    }
    return count;
}

EXPORT struct space *vm_space(struct allocator *m) { return m->space; }
EXPORT word *vm_now(struct allocator *m) { return m->now; }
EXPORT word *vm_did(struct allocator *m) { return m->did; }
EXPORT word *vm_chunks(struct allocator *m, word *count)
{
    *count = m->chunks;
    return (word *)m->chunk;
}
EXPORT void vm_current(struct allocator *m, word *out)
{
    for (word k = 0; k < m->set[CPUS]; k++)
        out[k] = m->cpu[k].current - 1;
}
EXPORT void vm_visits(struct allocator *m, word *out)
{
    for (word n = 0; n < m->set[NODES]; n++) {
        *out++ = m->node[n].busy_visits;
        *out++ = m->node[n].pool_visits;
        *out++ = m->node[n].lazy_visits;
    }
}

/* A list of areas as rows (start, pages, owner, home); the length. `which`: a pool, or -1 - node for
 * a lazy list. `out` may be NULL. */
EXPORT word vm_list(struct allocator *m, word which, word *out)
{
    word count = 0;
    int32_t a = which < 0 ? m->node[-1 - which].lazy : m->pool[which].head;
    for (; a; a = m->area[a].next, count++)
        if (out) {
            struct area *area = &m->area[a];
            word row[4] = {area->start, area->pages, area->owner, area->home};
            memcpy(out + 4 * count, row, sizeof row);
        }
    return count;
}

/* All areas in use, likewise. */
EXPORT word vm_areas(struct allocator *m, word *out)
{
    word count = 0;
    for (int32_t a = 1; a < m->areas; a++)
        if (m->area[a].pages) {
            struct area *area = &m->area[a];
            word row[4] = {area->start, area->pages, area->owner, area->home};
            if (out)
                memcpy(out + 4 * count, row, sizeof row);
            count++;
        }
    return count;
}
