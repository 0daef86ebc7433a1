/* State of an allocator.
 *
 * Areas, chunks and blocks are rows of tables; a row's number is the thing's name and row 0 is never
 * used, so that 0 means "none". Lists run through a column that names the next row. Settings, single
 * numbers and counters are words, so that Python can read them by their place; the names in
 * allocator/settings.py and allocator/counters.py stand in the same order. Addresses and sizes are
 * pages.
 */
#include "space.c"

/* Bits of an event's flags, and operations: vmalloc_model/events.py. */
enum { GUARD = 1, NUMA_NODE = 2 };
enum { ALLOC = 1, FREE, MAP_RAM, PCPU, PURGE, SHRINK };

/* What the machine and the policy say. */
enum setting {
    CPUS,
    NODES,
    ZONE_PAGES,
    LAZY_MAX,
    BLOCK_PAGES,
    BLOCK_MOST,
    CHUNK_PAGES, /* 0: no overlay */
    KEEP_FEW,    /* decay as in 6.16 */
    CHUNK_FIRST,
    ELIGIBILITY,
    REFILL_ON_NULL,
    RESIDENT,
    BY_FREEING,
    RELEASE,
    RELEASE_AT_REFILL,
    REWIND,
    POOLED,
    AUTO_PURGE,
    REGION_PAGES, /* that one page-table page maps */
    WINDOWS,
    SETTINGS
};
enum { BY_CODE, BY_RFC12, BY_MESSAGE }; /* ELIGIBILITY */
enum { NEVER, DRAINED, PURGED };        /* RELEASE */

/* What is so now. */
enum number {
    LAZY_PAGES,
    LAZY_AREAS,
    POOLED_AREAS,
    LIVE_AREAS,
    LIVE_PAGES,
    PEAK_PAGES,
    HIGH_WATER,   /* end of the highest range ever taken in the standard window from below */
    TOUCHED_HIGH, /* end of the highest page ever mapped there */
    REGIONS,      /* page-table pages that mapping has needed */
    LOW,          /* bounds of every chunk there ever was */
    HIGH,
    MIXED, /* a pool has handed out an area of a chunk: ranges may be in use twice */
    NUMBERS
};

enum counter {
    REQUESTS,
    FAILURES,
    POOL_HITS,
    POOL_ROTATIONS,
    POOL_MISSES,
    BUMP_HITS,
    BUMP_MISSES,
    INELIGIBLE,
    REFILLS,
    REFILL_FAILURES,
    GLOBAL_HITS,
    GLOBAL_FAILURES,
    OVERFLOW_PURGES,
    FREES,
    REMOTE_FREES,
    PURGES,
    PURGED_AREAS,
    PURGED_PAGES,
    POOL_ADDS,
    DECAYED_AREAS,
    LOCK_GLOBAL,
    LOCK_POOL,
    LOCK_LAZY,
    LOCK_BUSY,
    LOCK_CHUNK,
    LOCK_LIST,
    PADDING_PAGES,
    TAIL_PAGES,
    CHUNKS_RELEASED,
    CHUNKS_DRAINED_AT_REFILL,
    REWINDS,
    LOOKUPS,
    LOOKUP_STEPS,
    STALE_HANDOUTS,
    PAGES_FREED_TWICE,
    RELEASED_WHILE_CURRENT,
    LOST_FREES,
    BLOCKS,
    BLOCK_HITS,
    BLOCK_PURGES,
    PCPU_AREAS,
    COUNTERS
};

struct area {
    word start, pages;
    int32_t next, cpu;
    int32_t owner; /* node whose pools were asked, plus 1; 0 for none (vn_id) */
    int32_t home;  /* chunk that it belongs to; 0 for an ordinary area */
};

struct chunk {
    word base, bump;
    word count; /* pages of its live areas, where areas belong to chunks */
    word cpu;   /* that installed it */
    word released;
    word handed_on; /* a pool has handed out one of its areas */
    word seen;      /* the purge at hand took areas of it */
    word served;    /* areas handed out from it */
};

struct vmap_block {
    int32_t area, cpu;
    int32_t free, dirty; /* pages never handed out, and given back */
    int32_t next_in_queue, next_alive;
};

struct cpu {
    int32_t current, queue, alive; /* its chunk; heads of its two lists of blocks */
};

struct node_lists {
    int32_t lazy, areas;
    word busy_visits, pool_visits, lazy_visits;
};

struct pool {
    int32_t head, tail, length;
};

/* What a slot holds: an area; FAILED; FAILED - block and the pages of a mapping; 0 for nothing. */
struct slot {
    int32_t held, pages;
};
enum { FAILED = -1 };

struct pair { /* for sorting */
    word start;
    int32_t area;
};

enum { SIZES = 256 }; /* that have pools, in pages (MAX_VA_SIZE_PAGES) */

struct allocator {
    struct space *space;
    word set[SETTINGS], now[NUMBERS], did[COUNTERS];
    word *window; /* first page and end of each */
    struct area *area;
    struct chunk *chunk;
    struct vmap_block *block;
    struct cpu *cpu;
    struct node_lists *node;
    struct pool *pool; /* 256 for each node */
    struct slot *slot;
    struct pair *pair;
    int32_t *listed; /* the list of chunks, oldest first */
    uint8_t *touched; /* one bit for each page-table page of the standard window */
    int32_t area_room, areas, spare_area, chunk_room, chunks, block_room, blocks, slots;
    int32_t list_length, pair_room;
    int zone_shift, region_shift; /* log2 of ZONE_PAGES and REGION_PAGES */
};

/* Node that an address belongs to (addr_to_node_id). */
static inline word node_of_address(struct allocator *m, word page)
{
    uint64_t zone = (uint64_t)page >> m->zone_shift, nodes = (uint64_t)m->set[NODES];
    /* a division takes longer than all the rest of a free */
    return (word)(nodes & (nodes - 1) ? zone % nodes : zone & (nodes - 1));
}
