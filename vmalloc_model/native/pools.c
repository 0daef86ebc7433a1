/* Areas, lazy lists, node pools, their decay, and the purge.
 *
 * Source: Linux 6.12 mm/vmalloc.c: node_alloc, node_pool_add_va, decay_va_pool_node,
 * free_vmap_area_noflush, __purge_vmap_area_lazy, purge_vmap_node, reclaim_list_global. The twin in
 * plain Python is allocator/reference_pools.py.
 */
#include "chunks.c"

static int32_t new_area(struct allocator *m, word start, word pages, int32_t cpu, int32_t owner)
{
    int32_t a = m->spare_area;
    if (a) {
        m->spare_area = m->area[a].next;
    } else {
        if (m->areas == m->area_room) {
            m->area = resized(m->area, m->area_room, 2 * (word)m->area_room, sizeof(struct area));
            m->area_room *= 2;
        }
        a = m->areas++;
    }
    m->area[a] = (struct area){.start = start, .pages = pages, .cpu = cpu, .owner = owner};
    return a;
}

static inline void drop_area(struct allocator *m, int32_t a)
{
    m->area[a].pages = 0; /* tells unused rows */
    m->area[a].next = m->spare_area;
    m->spare_area = a;
}

/* Return a range to the global free space. Where areas belong to chunks, parts of it may be free
 * already; elsewhere that would be a mistake of the model, and shows in the counter. */
static void give_back(struct allocator *m, word start, word pages)
{
    if (!release(m->space, start, pages))
        m->did[PAGES_FREED_TWICE] += release_over(m->space, start, pages);
}

static inline struct pool *pool_of(struct allocator *m, word node, word pages)
{
    return &m->pool[node * SIZES + pages - 1];
}

static int32_t leave_pool(struct allocator *m, struct pool *pool)
{
    int32_t a = pool->head;
    pool->head = m->area[a].next;
    if (!pool->head)
        pool->tail = 0;
    pool->length--;
    m->now[POOLED_AREAS]--;
    return a;
}

/* Ask a node's pool for an area of just this size; 0 if there is none at its head. */
static int32_t take(struct allocator *m, word node, word pages, word order)
{
    if (pages > SIZES)
        return 0;
    struct pool *pool = pool_of(m, node, pages);
    int32_t head = pool->head;
    if (!head) {
        m->did[POOL_MISSES]++;
        return 0;
    }
    m->did[LOCK_POOL]++;
    m->node[node].pool_visits++;
    struct area *area = &m->area[head];
    if (area->start & (((word)1 << order) - 1)) {
        m->did[POOL_MISSES]++;
        m->did[POOL_ROTATIONS]++;
        if (pool->tail != head) {
            pool->head = area->next;
            m->area[pool->tail].next = head;
            area->next = 0;
            pool->tail = head;
        }
        return 0;
    }
    m->did[POOL_HITS]++;
    leave_pool(m, pool);
    if (area->home) {
        /* it is an ordinary area from here on: nothing tells its chunk */
        m->now[MIXED] = 1;
        m->chunk[area->home].handed_on = 1;
        m->did[STALE_HANDOUTS] += m->chunk[area->home].released;
        area->home = 0;
    }
    area->owner = (int32_t)node + 1;
    return head;
}

static void add_to_pool(struct allocator *m, word node, int32_t a)
{
    m->did[LOCK_POOL]++;
    m->did[POOL_ADDS]++;
    m->node[node].pool_visits++;
    struct pool *pool = pool_of(m, node, m->area[a].pages);
    m->area[a].next = pool->head;
    if (!pool->head)
        pool->tail = a;
    pool->head = a;
    pool->length++;
    m->now[POOLED_AREAS]++;
}

/* Node whose lazy list an area goes to: its owner, or that of its address. */
static inline word lazy_node(struct allocator *m, int32_t a)
{
    if (m->area[a].owner)
        return m->area[a].owner - 1;
    return node_of_address(m, m->area[a].start);
}

static void make_lazy(struct allocator *m, int32_t a)
{
    struct node_lists *node = &m->node[lazy_node(m, a)];
    m->did[LOCK_LAZY]++;
    node->lazy_visits++;
    m->area[a].next = node->lazy;
    node->lazy = a;
    node->areas++;
    m->now[LAZY_AREAS]++;
    m->now[LAZY_PAGES] += m->area[a].pages;
}

static struct pair *pairs(struct allocator *m, word count)
{
    if (2 * count > m->pair_room) {
        m->pair = resized(m->pair, m->pair_room, 2 * count, sizeof(struct pair));
        m->pair_room = (int32_t)(2 * count);
    }
    return m->pair;
}

/* Sort pairs by start, stably; the second half of the room is scratch. Where the result is. */
static struct pair *sorted(struct pair *from, word count)
{
    struct pair *to = from + count;
    for (word width = 1; width < count; width *= 2) {
        for (word low = 0; low < count; low += 2 * width) {
            word middle = smaller(low + width, count), high = smaller(low + 2 * width, count);
            word i = low, j = middle;
            for (word k = low; k < high; k++) {
                int left = i < middle && (j >= high || from[i].start <= from[j].start);
                to[k] = left ? from[i++] : from[j++];
            }
        }
        struct pair *other = from;
        from = to;
        to = other;
    }
    return from;
}

/* How many areas leave a pool of so many: a quarter; of 1 to 3 all (6.12), or none (6.16). */
static inline int32_t victims_of(struct allocator *m, int32_t length, int full)
{
    int32_t quarter = length / 4;
    return full || (!quarter && !m->set[KEEP_FEW]) ? length : quarter;
}

/* Join areas that touch, ascending, and give the ranges to a function. */
static void coalesced(struct allocator *m, struct pair *pair, word count,
                      void (*range)(struct allocator *, word start, word pages))
{
    for (word k = 0; k < count;) {
        word start = pair[k].start, end = start;
        while (k < count && pair[k].start == end)
            end += m->area[pair[k++].area].pages;
        range(m, start, end - start);
    }
}

/* Let some areas of each pool of a node go to the global free space, or all of them. */
static void decay(struct allocator *m, word node, int full)
{
    struct pair *pair = pairs(m, m->now[POOLED_AREAS]);
    word found = 0;
    for (word size = 1; size <= SIZES; size++) {
        struct pool *pool = pool_of(m, node, size);
        if (!pool->length)
            continue;
        int32_t leaving = victims_of(m, pool->length, full);
        word visits = leaving == pool->length ? 1 : 2; /* detach it, and attach what is left */
        m->did[LOCK_POOL] += visits;
        m->node[node].pool_visits += visits;
        m->did[DECAYED_AREAS] += leaving;
        for (; leaving; leaving--) {
            int32_t a = leave_pool(m, pool);
            if (m->area[a].home)
                drop_area(m, a); /* its range goes back with its chunk */
            else
                pair[found++] = (struct pair){m->area[a].start, a};
        }
    }
    if (!found)
        return;
    m->did[LOCK_GLOBAL]++;
    pair = sorted(pair, found);
    coalesced(m, pair, found, give_back);
    for (word k = 0; k < found; k++)
        drop_area(m, pair[k].area);
}

/* Purge the areas of a node's detached list, in ascending order. */
static void purge_node(struct allocator *m, word node, int32_t first, int32_t count, int full)
{
    struct pair *pair = pairs(m, count);
    for (int32_t k = count - 1, a = first; k >= 0; k--, a = m->area[a].next)
        pair[k] = (struct pair){m->area[a].start, a}; /* it begins with what was freed last */
    pair = sorted(pair, count);
    int32_t back = 0; /* head of the local list */
    for (int32_t k = 0; k < count; k++) {
        int32_t a = pair[k].area;
        struct area *area = &m->area[a];
        m->did[PURGED_AREAS]++;
        m->did[PURGED_PAGES] += area->pages;
        m->now[LAZY_PAGES] -= area->pages;
        m->now[LAZY_AREAS]--;
        int pooled = area->home ? m->set[POOLED] != 0 : area->owner != 0;
        if (area->home)
            m->chunk[area->home].seen = 1;
        if (pooled && !full && area->pages <= SIZES && m->set[NODES] > 1) {
            add_to_pool(m, node, a);
        } else if (area->home) {
            drop_area(m, a); /* its range goes back with its chunk */
        } else {
            area->next = back;
            back = a;
        }
    }
    if (back)
        m->did[LOCK_GLOBAL]++;
    while (back) { /* descending, because each went to the head of the list */
        int32_t a = back;
        back = m->area[a].next;
        give_back(m, m->area[a].start, m->area[a].pages);
        drop_area(m, a);
    }
}

/* Take all areas from the lazy lists: into pools, or back to the global free space.
 *
 * All pools decay before the first area is taken, so that what comes in now does not leave again.
 * full: pools are emptied and not filled.
 */
static void purge(struct allocator *m, int full)
{
    m->did[PURGES]++;
    for (word n = 0; n < m->set[NODES]; n++) {
        decay(m, n, full);
        if (m->node[n].lazy) {
            m->did[LOCK_LAZY]++;
            m->node[n].lazy_visits++;
        }
    }
    for (word n = 0; n < m->set[NODES]; n++) {
        int32_t first = m->node[n].lazy, count = m->node[n].areas;
        m->node[n].lazy = m->node[n].areas = 0;
        if (count)
            purge_node(m, n, first, count, full);
    }
    if (m->set[RESIDENT])
        end_purge(m);
}
