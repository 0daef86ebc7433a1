/* Gaps in address order: a B+ tree.
 *
 * A block has room for 32 entries. An entry of a leaf is a gap: its first page, its pages, and a
 * number that the user of the index attaches. An entry of an inner block is a block below it: a
 * separator (no entry of the blocks before it starts there or above), the most pages of a gap in
 * it, and its name. Unused places hold FAR and 0, so that a search in a block is a fixed number of
 * steps without a branch.
 *
 * The gap that begins at page 1, below everything that is ever handed out, is larger than any
 * request. So that searches need not step over it, it counts as 0 pages in them (pages_at knows its
 * size).
 *
 * A position is a leaf and a place in it; it holds until the next insertion or removal.
 */
#include "common.h"

enum { FULL = 32, HALF = FULL / 2, FEW = FULL / 4 };

struct block {
    int32_t count, up, place, level, previous, next, spare[2];
    word key[FULL];
    word most[FULL];
    int32_t ref[FULL];
};

/* Block 0 is never used: the name 0 means "none". */
struct index {
    struct block *block;
    int32_t room, used, spare; /* blocks that there is memory for, ever used, chain of unused */
    int32_t root, first;       /* first: the leaf with the lowest gaps */
    word gaps, lowest;         /* lowest: pages of the gap at page 1 */
};

struct position {
    int32_t leaf, place;
};

static struct block *block_at(struct index *x, int32_t b)
{
    CHECK(b > 0 && b < x->used);
    return &x->block[b];
}

static int32_t new_block(struct index *x, int32_t level)
{
    int32_t b = x->spare;
    if (b) {
        x->spare = x->block[b].up;
    } else {
        if (x->used == x->room) {
            int32_t room = x->room ? 2 * x->room : 16;
            x->block = resized(x->block, x->room, room, sizeof(struct block));
            x->room = room;
        }
        b = x->used++;
    }
    struct block *one = &x->block[b];
    memset(one, 0, sizeof *one);
    for (int k = 0; k < FULL; k++)
        one->key[k] = FAR;
    one->level = level;
    return b;
}

static void drop_block(struct index *x, int32_t b)
{
    x->block[b].count = 0;
    x->block[b].up = x->spare;
    x->spare = b;
}

static void index_init(struct index *x)
{
    memset(x, 0, sizeof *x);
    x->used = 0;
    new_block(x, 0);
    x->root = x->first = new_block(x, 0);
}

static word gap_start(struct index *x, struct position p) { return block_at(x, p.leaf)->key[p.place]; }

static word pages_at(struct index *x, struct position p)
{
    word pages = block_at(x, p.leaf)->most[p.place];
    return pages ? pages : x->lowest;
}

/* Entries of a block that start at or below a page. */
static inline int32_t up_to(const struct block *b, word page)
{
    const word *key = b->key;
    int32_t k = 0;
    k += (key[k + 15] <= page) << 4;
    k += (key[k + 7] <= page) << 3;
    k += (key[k + 3] <= page) << 2;
    k += (key[k + 1] <= page) << 1;
    k += key[k] <= page;
    return k + (key[k] <= page);
}

/* Position behind the last gap that starts at or below a page. */
static struct position locate(struct index *x, word page)
{
    int32_t b = x->root;
    while (x->block[b].level) {
        /* the first separator is not looked at: what lies below it belongs there too */
        int32_t k = up_to(&x->block[b], page);
        b = x->block[b].ref[k ? k - 1 : 0];
    }
    return (struct position){b, up_to(&x->block[b], page)};
}

/* Position of the gap before a position; the leaf is 0 when there is none. */
static inline struct position step_back(struct index *x, struct position p)
{
    if (p.place)
        return (struct position){p.leaf, p.place - 1};
    int32_t b = x->block[p.leaf].previous;
    return (struct position){b, b ? x->block[b].count - 1 : 0};
}

/* A position as that of a gap: itself, or the first of the next leaf; the leaf is 0 at the end. */
static inline struct position step_on(struct index *x, struct position p)
{
    if (p.place < x->block[p.leaf].count)
        return p;
    return (struct position){x->block[p.leaf].next, 0};
}

/* First place at or behind `from` with so many pages; FULL if there is none. */
static inline int32_t first_of(const struct block *b, word least, int32_t from)
{
    uint32_t fit = 0;
    for (int k = 0; k < FULL; k++)
        fit |= (uint32_t)(b->most[k] >= least) << k;
    fit &= (uint32_t)(~(uint64_t)0 << from);
    return fit ? __builtin_ctz(fit) : FULL;
}

static struct position descend(struct index *x, word least, int32_t b, int32_t k)
{
    while (x->block[b].level) {
        b = x->block[b].ref[k];
        k = first_of(&x->block[b], least, 0);
        CHECK(k < FULL);
    }
    return (struct position){b, k};
}

/* Position of the first gap of at least so many pages; the leaf is 0 if there is none. */
static struct position first_of_all(struct index *x, word least)
{
    int32_t k = first_of(&x->block[x->root], least, 0);
    if (k == FULL)
        return (struct position){0, 0};
    return descend(x, least, x->root, k);
}

/* The same, at or behind a position. */
static struct position first_fit(struct index *x, word least, struct position p)
{
    int32_t b = p.leaf, k = first_of(&x->block[b], least, p.place);
    while (k == FULL) {
        k = x->block[b].place + 1;
        b = x->block[b].up;
        if (!b)
            return (struct position){0, 0};
        k = k < FULL ? first_of(&x->block[b], least, k) : FULL;
    }
    return descend(x, least, b, k);
}

/* Position of the last gap of at least so many pages before a position. */
static struct position last_fit(struct index *x, word least, struct position p)
{
    int32_t b = p.leaf, k = p.place - 1;
    for (;;) {
        while (k >= 0 && x->block[b].most[k] < least)
            k--;
        if (k >= 0)
            break;
        k = x->block[b].place - 1;
        b = x->block[b].up;
        if (!b)
            return (struct position){0, 0};
    }
    while (x->block[b].level) {
        b = x->block[b].ref[k];
        for (k = x->block[b].count - 1; x->block[b].most[k] < least; k--)
            CHECK(k > 0);
    }
    return (struct position){b, k};
}

static word most_in(const struct block *b)
{
    word most = 0;
    for (int k = 0; k < FULL; k++)
        most = larger(most, b->most[k]);
    return most;
}

/* Carry a change of one entry's pages in a block to the blocks above it. */
static void note_most(struct index *x, int32_t b, word before, word now)
{
    while (before != now) {
        int32_t up = x->block[b].up;
        if (!up)
            return;
        word *entry = &x->block[up].most[x->block[b].place];
        word most = *entry;
        if (now < most) {
            if (before != most)
                return;
            now = most_in(&x->block[b]);
        }
        *entry = now;
        b = up;
        before = most;
    }
}

/* Let a leaf's first gap start at a lower page than its separator. */
static void lower_separator(struct index *x, int32_t b, word start)
{
    while (x->block[b].up) {
        int32_t place = x->block[b].place;
        b = x->block[b].up;
        if (start < x->block[b].key[place])
            x->block[b].key[place] = start;
        if (place)
            return;
    }
}

/* Let a leaf's separator be where its first gap starts now. */
static void raise_separator(struct index *x, int32_t b)
{
    word start = x->block[b].key[0];
    while (x->block[b].up) {
        int32_t place = x->block[b].place;
        b = x->block[b].up;
        x->block[b].key[place] = start;
        if (place)
            return;
    }
}

/* Pages as searches see them. */
static inline word shown_pages(struct index *x, word start, word pages)
{
    if (start != 1)
        return pages;
    x->lowest = pages;
    return 0;
}

/* Give the gap at a position another start and size; the order of gaps must not change. */
static void moved(struct index *x, struct position p, word start, word pages)
{
    struct block *b = block_at(x, p.leaf);
    CHECK(p.place < b->count && pages > 0);
    if (!p.place && start < b->key[0])
        lower_separator(x, p.leaf, start);
    /* A leaf's last gap may have grown over the separator behind it, which stands where a gap was. */
    if (p.place + 1 == b->count && start > b->key[p.place] && b->next)
        raise_separator(x, b->next);
    word before = b->most[p.place];
    pages = shown_pages(x, start, pages);
    b->key[p.place] = start;
    b->most[p.place] = pages;
    note_most(x, p.leaf, before, pages);
}

/* Tell the blocks below an inner block, from a place on, where they hang. */
static void adopt(struct index *x, int32_t b, int32_t from)
{
    struct block *one = &x->block[b];
    if (one->level)
        for (int32_t k = from; k < one->count; k++) {
            x->block[one->ref[k]].up = b;
            x->block[one->ref[k]].place = k;
        }
}

static void open_place(struct block *b, int32_t k)
{
    size_t rest = (size_t)(b->count - k);
    CHECK(b->count < FULL && k <= b->count);
    memmove(&b->key[k + 1], &b->key[k], rest * sizeof b->key[0]);
    memmove(&b->most[k + 1], &b->most[k], rest * sizeof b->most[0]);
    memmove(&b->ref[k + 1], &b->ref[k], rest * sizeof b->ref[0]);
    b->count++;
}

static void close_place(struct block *b, int32_t k)
{
    CHECK(k < b->count);
    int32_t last = --b->count;
    size_t rest = (size_t)(last - k);
    memmove(&b->key[k], &b->key[k + 1], rest * sizeof b->key[0]);
    memmove(&b->most[k], &b->most[k + 1], rest * sizeof b->most[0]);
    memmove(&b->ref[k], &b->ref[k + 1], rest * sizeof b->ref[0]);
    b->key[last] = FAR;
    b->most[last] = 0;
}

/* Append the entries of a block from a place on to another block. */
static void move_entries(struct index *x, int32_t source, int32_t from, int32_t target)
{
    struct block *s = &x->block[source], *t = &x->block[target];
    int32_t have = t->count, number = s->count - from;
    CHECK(have + number <= FULL);
    for (int32_t k = 0; k < number; k++) {
        t->key[have + k] = s->key[from + k];
        t->most[have + k] = s->most[from + k];
        t->ref[have + k] = s->ref[from + k];
        s->key[from + k] = FAR;
        s->most[from + k] = 0;
    }
    t->count += number;
    s->count = from;
    adopt(x, target, have);
}

/* Move the upper half of a full block into a new one behind it. */
static void split(struct index *x, int32_t b)
{
    if (!x->block[b].up) {
        int32_t root = new_block(x, x->block[b].level + 1);
        struct block *one = &x->block[root];
        one->count = 1;
        one->key[0] = x->block[b].key[0];
        one->most[0] = most_in(&x->block[b]);
        one->ref[0] = b;
        x->root = root;
        adopt(x, root, 0);
    } else if (x->block[x->block[b].up].count == FULL) {
        split(x, x->block[b].up);
    }
    int32_t new = new_block(x, x->block[b].level);
    move_entries(x, b, HALF, new);
    x->block[new].next = x->block[b].next;
    x->block[new].previous = b;
    x->block[b].next = new;
    if (x->block[new].next)
        x->block[x->block[new].next].previous = new;
    int32_t up = x->block[b].up, place = x->block[b].place;
    struct block *above = &x->block[up];
    open_place(above, place + 1);
    above->key[place + 1] = x->block[new].key[0];
    above->most[place] = most_in(&x->block[b]);
    above->most[place + 1] = most_in(&x->block[new]);
    above->ref[place + 1] = new;
    adopt(x, up, place + 1);
}

/* Put a gap at a position, before the gap that is there. */
static void insert(struct index *x, struct position p, word start, word pages, int32_t ref)
{
    CHECK(pages > 0);
    if (x->block[p.leaf].count == FULL) {
        split(x, p.leaf);
        if (p.place > HALF) {
            p.place -= HALF;
            p.leaf = x->block[p.leaf].next;
        }
    }
    if (!p.place)
        lower_separator(x, p.leaf, start);
    struct block *b = block_at(x, p.leaf);
    open_place(b, p.place);
    pages = shown_pages(x, start, pages);
    b->key[p.place] = start;
    b->most[p.place] = pages;
    b->ref[p.place] = ref;
    x->gaps++;
    note_most(x, p.leaf, 0, pages);
}

/* Drop an empty block, or join a small one with a neighbour below the same block. */
static void shrink(struct index *x, int32_t b)
{
    while (x->block[b].up && x->block[b].count <= FEW) {
        struct block *one = &x->block[b];
        int32_t up = one->up;
        if (one->count) {
            int32_t left = 0;
            if (one->place && x->block[one->previous].count + one->count <= FULL - FEW)
                left = one->previous;
            else if (one->place + 1 < x->block[up].count &&
                     one->count + x->block[one->next].count <= FULL - FEW)
                left = b;
            if (!left)
                return;
            b = x->block[left].next;
            int32_t place = x->block[b].place;
            move_entries(x, b, 0, left);
            x->block[up].most[place - 1] =
                larger(x->block[up].most[place - 1], x->block[up].most[place]);
        }
        one = &x->block[b];
        if (one->previous)
            x->block[one->previous].next = one->next;
        if (one->next)
            x->block[one->next].previous = one->previous;
        if (b == x->first)
            x->first = one->next;
        int32_t place = one->place;
        close_place(&x->block[up], place);
        adopt(x, up, place);
        drop_block(x, b);
        b = up;
    }
    if (!x->block[b].up && x->block[b].level && x->block[b].count == 1) {
        x->root = x->block[b].ref[0];
        x->block[x->root].up = x->block[x->root].place = 0;
        drop_block(x, b);
        /* the new root may be as thin */
        shrink(x, x->root);
    }
}

/* Remove the gap at a position. */
static void erase(struct index *x, struct position p)
{
    struct block *b = block_at(x, p.leaf);
    word before = b->most[p.place];
    close_place(b, p.place);
    x->gaps--;
    note_most(x, p.leaf, before, 0);
    if (b->count <= FEW)
        shrink(x, p.leaf);
}

/* What is wrong with a block whose entries lie in [low, high), and with all below; NULL if nothing.
 * Leaves are met in order; `last` is the one met before. */
static const char *check_block(struct index *x, int32_t b, word low, word high, int32_t *last,
                               word *gaps)
{
    struct block *one = block_at(x, b);
    if (!one->count && one->up)
        return "an empty block";
    for (int k = 0; k < FULL; k++)
        if (k >= one->count && (one->key[k] != FAR || one->most[k]))
            return "an unused place that is not empty";
    for (int k = 0; k < one->count; k++) {
        word from = k || !one->level ? one->key[k] : low;
        word to = k + 1 < one->count ? one->key[k + 1] : high;
        if (from < low || from >= to)
            return "entries out of order";
        if (!one->level) {
            struct position p = {b, k};
            if (pages_at(x, p) < 1 || (to != FAR && from + pages_at(x, p) >= to && to != high))
                return "gaps that touch or overlap";
            continue;
        }
        struct block *child = block_at(x, one->ref[k]);
        if (child->up != b || child->place != k || child->level != one->level - 1)
            return "a block that does not know where it hangs";
        if (one->most[k] != most_in(child))
            return "a wrong largest gap";
        const char *wrong = check_block(x, one->ref[k], from, to, last, gaps);
        if (wrong)
            return wrong;
    }
    if (!one->level) {
        if (one->previous != *last || (*last ? x->block[*last].next != b : x->first != b))
            return "a broken chain of leaves";
        *last = b;
        *gaps += one->count;
    }
    return NULL;
}

static const char *index_check(struct index *x)
{
    int32_t last = 0;
    word gaps = 0;
    if (x->block[x->root].up)
        return "a root below a block";
    const char *wrong = check_block(x, x->root, 1, FAR, &last, &gaps);
    if (!wrong && (gaps != x->gaps || x->block[last].next))
        wrong = "a wrong number of gaps";
    return wrong;
}
