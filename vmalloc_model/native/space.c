/* Free space: reserve, carve and release on the index of gaps, with or without mainline's tree.
 *
 * Two rules:
 *
 * PADDED, the rule of a gap finder such as mas_empty_area: the lowest gap that has
 * pages + align - 1 pages inside the window, aligned up within it.
 *
 * TREE, mainline's find_vmap_lowest_match: it looks for size + align - 1 bytes, but on its way down
 * and back up the tree it also takes smaller gaps that happen to be aligned well.
 *
 * Both are the lowest fit for alignments of up to a page. For larger ones the second depends on the
 * shape of the tree. Which of its nodes a search tests follows from two gaps that the index finds:
 * the first one large enough above the start of the window, and the last one large enough at or
 * below it. A subtree is worth entering exactly when it holds one of the two, because a subtree is
 * a contiguous run of gaps. So no subtree maxima are kept; search_tree walks as mainline does with
 * this test in their place.
 *
 * Sizes and addresses are pages, windows half open, an order is log2 of an alignment in pages.
 */
#include "index.c"
#include "tree.c"

enum { TREE, PADDED };

struct space {
    struct index index;
    struct tree tree;
    int rule;
};

/* A path from the root: more than the height of a red-black tree of 2**31 nodes. */
enum { DEEPEST = 64 };
struct path {
    int32_t node[DEEPEST];
    int length;
};

static struct space *space_make(int rule)
{
    struct space *s = resized(NULL, 0, 1, sizeof *s);
    index_init(&s->index);
    tree_init(&s->tree);
    s->rule = rule;
    return s;
}

static void space_drop(struct space *s)
{
    free(s->index.block);
    free(s->tree.node);
    free(s);
}

/* --- changes of single gaps, in the index and in the tree ------------------------------------- */

static inline int32_t node_of(struct space *s, struct position p)
{
    return p.leaf ? s->index.block[p.leaf].ref[p.place] : 0;
}

static void new_gap(struct space *s, struct position p, word start, word pages)
{
    int32_t node = 0;
    if (s->rule == TREE) {
        node = add_node(&s->tree, node_of(s, step_back(&s->index, p)),
                        node_of(s, step_on(&s->index, p)));
        s->tree.node[node].start = start;
        s->tree.node[node].pages = pages;
    }
    insert(&s->index, p, start, pages, node);
}

static inline void change_gap(struct space *s, struct position p, word start, word pages)
{
    if (s->rule == TREE) {
        struct node *n = &s->tree.node[node_of(s, p)];
        n->start = start;
        n->pages = pages;
    }
    moved(&s->index, p, start, pages);
}

static void drop_gap(struct space *s, struct position p)
{
    if (s->rule == TREE)
        remove_node(&s->tree, node_of(s, p));
    erase(&s->index, p);
}

/* Take a range out of the gap at a position (va_clip). */
static void clip(struct space *s, struct position p, word start, word pages)
{
    word gap = gap_start(&s->index, p);
    word left = start - gap, right = gap + pages_at(&s->index, p) - (start + pages);
    CHECK(left >= 0 && right >= 0 && pages > 0);
    if (!left && !right) {
        drop_gap(s, p);
    } else if (!left) {
        change_gap(s, p, start + pages, right);
    } else if (!right) {
        change_gap(s, p, gap, left);
    } else {
        /* the gap keeps its right part, a new one takes the left part */
        change_gap(s, p, start + pages, right);
        new_gap(s, p, gap, left);
    }
}

/* --- searches ---------------------------------------------------------------------------------- */

/* Address in a node's gap (is_within_this_va), or NOTHING. */
static inline word fit_in(struct space *s, int32_t node, word pages, word order, word vstart)
{
    struct node *n = &s->tree.node[node];
    word start = align_up(larger(n->start, vstart), order);
    return start + pages <= n->start + n->pages ? start : NOTHING;
}

static void path_to(struct space *s, int32_t node, struct path *path)
{
    int length = 0;
    for (int32_t up = node; up; up = s->tree.node[up].parent)
        length++;
    CHECK(length <= DEEPEST);
    path->length = length;
    for (; length; node = s->tree.node[node].parent)
        path->node[--length] = node;
}

static inline int leads(const struct path *path, int depth, int32_t node)
{
    return depth < path->length && path->node[depth] == node;
}

/* Where mainline's search ends for an alignment above a page, or NOTHING. */
static word search_tree(struct space *s, word pages, word order, word vstart)
{
    word least = pages + ((word)1 << order); /* gaps of size + align - 1 bytes, in whole pages */
    struct position at = locate(&s->index, vstart);
    struct position low = last_fit(&s->index, least, at);
    struct position lowest = {s->index.first, 0};
    if (!low.leaf && s->index.gaps && gap_start(&s->index, lowest) == 1 &&
        pages_at(&s->index, lowest) >= least)
        low = lowest;
    struct path to_first, to_last;
    path_to(s, node_of(s, first_fit(&s->index, least, at)), &to_first);
    path_to(s, node_of(s, low), &to_last);
    struct node *n = s->tree.node;
    int32_t node = s->tree.root;
    int depth = 0;
    /* whether the node lies on the two ways */
    int on_first = to_first.length > 0, on_last = to_last.length > 0;
    while (node) {
        int32_t child = n[node].child[LEFT];
        int first = on_first && leads(&to_first, depth + 1, child);
        int last = on_last && leads(&to_last, depth + 1, child);
        if ((first || last) && vstart < n[node].start) {
            node = child, depth++, on_first = first, on_last = last;
            continue;
        }
        word found = fit_in(s, node, pages, order, vstart);
        if (found != NOTHING)
            return found;
        child = n[node].child[RIGHT];
        first = on_first && leads(&to_first, depth + 1, child);
        last = on_last && leads(&to_last, depth + 1, child);
        while (!first && !last) {
            node = n[node].parent;
            if (!node)
                return NOTHING;
            depth--;
            found = fit_in(s, node, pages, order, vstart);
            if (found != NOTHING)
                return found;
            on_first = leads(&to_first, depth, node);
            on_last = leads(&to_last, depth, node);
            if (vstart > n[node].start)
                continue;
            child = n[node].child[RIGHT];
            first = on_first && leads(&to_first, depth + 1, child);
            last = on_last && leads(&to_last, depth + 1, child);
            if (first || last)
                vstart = n[node].start + 1;
        }
        node = child, depth++, on_first = first, on_last = last;
    }
    return NOTHING;
}

/* The same for the common window: only the lowest gap of all begins below it.
 *
 * That gap is too large to be passed by, so mainline goes down to it on the left edge of the tree
 * and then climbs, testing every node, until the right subtree of one holds the first gap that is
 * large enough; in there it tests the nodes at which the way turns right. All in ascending order.
 */
static word search_up(struct space *s, word pages, word order, word vstart, int32_t first,
                      int32_t edge)
{
    struct node *n = s->tree.node;
    word limit = n[first].start;
    int32_t turn[DEEPEST], last = edge;
    for (; edge && n[edge].start < limit; edge = n[edge].parent) {
        word found = fit_in(s, edge, pages, order, vstart);
        if (found != NOTHING)
            return found;
        last = edge;
    }
    int turns = 0;
    for (int32_t up = n[first].parent; up && up != last; up = n[up].parent)
        if (n[up].start < limit)
            turn[turns++] = up;
    while (turns) {
        word found = fit_in(s, turn[--turns], pages, order, vstart);
        if (found != NOTHING)
            return found;
    }
    return fit_in(s, first, pages, order, vstart);
}

/* Whether the lowest gap of all is the only one that begins at or below a page. */
static inline int only_lowest(struct space *s, word page)
{
    const struct block *b = &s->index.block[s->index.first];
    return b->key[0] == 1 && b->count > 1 && b->key[1] > page;
}

static word reserve_aligned(struct space *s, word pages, word order, word vstart, word vend)
{
    word least = pages + ((word)1 << order), start;
    struct position p = {0, 0};
    struct position lowest = {s->index.first, 0};
    if (only_lowest(s, vstart) && pages_at(&s->index, lowest) >= least)
        p = first_of_all(&s->index, least);
    if (p.leaf)
        start = search_up(s, pages, order, vstart, node_of(s, p), node_of(s, lowest));
    else
        start = search_tree(s, pages, order, vstart);
    if (start == NOTHING || start + pages > vend)
        return NOTHING;
    if (!p.leaf || start < gap_start(&s->index, p))
        p = step_back(&s->index, locate(&s->index, start));
    clip(s, p, start, pages);
    return start;
}

/* Find room for an area by the space's rule and take it; first page, or NOTHING. */
static word reserve(struct space *s, word pages, word order, word vstart, word vend)
{
    struct index *x = &s->index;
    word least = pages;
    if (s->rule == TREE) {
        if (order && vend - vstart != pages) /* no search length is adjusted for a window of just it */
            return reserve_aligned(s, pages, order, vstart, vend);
    } else {
        least = pages + ((word)1 << order) - 1;
    }
    /* the gap that the window begins in; mostly the lowest one of all */
    struct position p, before;
    int low = only_lowest(s, vstart);
    if (low) {
        before = (struct position){x->first, 0};
    } else {
        p = locate(x, vstart);
        before = step_back(x, p);
    }
    if (before.leaf) {
        word end = smaller(gap_start(x, before) + pages_at(x, before), vend);
        word start = align_up(vstart, order);
        if (end - vstart >= least && start + pages <= end) {
            clip(s, before, start, pages);
            return start;
        }
    }
    p = low ? first_of_all(x, least) : first_fit(x, least, p);
    if (!p.leaf)
        return NOTHING;
    word gap = gap_start(x, p), start = align_up(gap, order);
    if (gap + least > vend || start + pages > vend)
        return NOTHING;
    clip(s, p, start, pages);
    return start;
}

/* Take exactly this range; 0 if it is not wholly free (nothing is changed then). */
static int carve(struct space *s, word start, word pages)
{
    struct position p = step_back(&s->index, locate(&s->index, start));
    if (!p.leaf || start + pages > gap_start(&s->index, p) + pages_at(&s->index, p))
        return 0;
    clip(s, p, start, pages);
    return 1;
}

/* Give a range back and merge it with its free neighbours (merge_or_add_vmap_area): where both
 * touch, the next one is dropped and the one before grows. 0 if part of it is free already (nothing
 * is changed then). */
static int release(struct space *s, word start, word pages)
{
    struct index *x = &s->index;
    struct position p = locate(x, start), before = step_back(x, p), after = step_on(x, p);
    word low = 0, below = 0, above = 0;
    int joins_before = 0, joins_after = 0;
    if (before.leaf) {
        low = gap_start(x, before);
        below = pages_at(x, before);
        if (low + below > start)
            return 0;
        joins_before = low + below == start;
    }
    if (after.leaf) {
        word high = gap_start(x, after);
        if (high < start + pages)
            return 0;
        joins_after = high == start + pages;
        above = pages_at(x, after);
    }
    if (joins_before && joins_after) {
        /* the one before first: dropping the other may move it to another place */
        change_gap(s, before, low, below + pages + above);
        drop_gap(s, after);
    } else if (joins_before) {
        change_gap(s, before, low, below + pages);
    } else if (joins_after) {
        change_gap(s, after, start, pages + above);
    } else {
        new_gap(s, p, start, pages);
    }
    return 1;
}

/* Make a range free, whether or not parts of it are; how many pages were. */
static word release_over(struct space *s, word start, word pages)
{
    word end = start + pages, already = 0;
    while (start < end) {
        struct position p = locate(&s->index, start), before = step_back(&s->index, p);
        if (before.leaf) {
            word free = gap_start(&s->index, before) + pages_at(&s->index, before);
            if (free > start) {
                already += smaller(free, end) - start;
                start = free;
                continue;
            }
        }
        struct position after = step_on(&s->index, p);
        word upto = after.leaf ? smaller(gap_start(&s->index, after), end) : end;
        release(s, start, upto - start);
        start = upto;
    }
    return already;
}

/* Pages of the largest gap, as far as it lies in a window. */
static word largest_gap(struct space *s, word vstart, word vend)
{
    struct index *x = &s->index;
    struct position p = locate(x, vstart), before = step_back(x, p);
    word most = 0;
    if (before.leaf)
        most = larger(
            0, smaller(gap_start(x, before) + pages_at(x, before), vend) - vstart);
    for (;;) {
        p = first_fit(x, most + 1, p);
        if (!p.leaf || gap_start(x, p) >= vend)
            return most;
        most = larger(most, smaller(gap_start(x, p) + pages_at(x, p), vend) - gap_start(x, p));
        p.place++;
    }
}

/* Take areas at fixed distances from a base, all as high as possible (pcpu_get_vm_areas); the base,
 * or NOTHING. The areas do not overlap. */
static word top_down(struct space *s, word n, const word *offset, const word *size, word order,
                     word vstart, word vend)
{
    struct index *x = &s->index;
    word last = 0, fits = 0;
    for (word k = 1; k < n; k++)
        if (offset[k] > offset[last])
            last = k;
    word align = -((word)1 << order), area = last;
    word base = ((vend & align) - (offset[last] + size[last])) & align;
    while (fits < n) {
        if (base < vstart)
            return NOTHING;
        word start = base + offset[area], end = start + size[area];
        /* the gap at or below the area's last page */
        struct position p = step_back(x, locate(x, end - 1));
        if (!p.leaf)
            return NOTHING;
        word top = gap_start(x, p) + pages_at(x, p);
        if (top < end) {
            /* the area ends behind this gap: move it down so that it ends inside */
            base = (top - size[area] - offset[area]) & align;
            fits = 0;
        } else if (gap_start(x, p) > start) {
            /* it begins before this gap: try the one below */
            p = step_back(x, p);
            if (!p.leaf)
                return NOTHING;
            top = gap_start(x, p) + pages_at(x, p);
            base = (top - size[area] - offset[area]) & align;
            fits = 0;
        } else {
            fits++;
            area = (area + n - 1) % n;
        }
    }
    for (word k = 0; k < n; k++)
        carve(s, base + offset[k], size[k]);
    return base;
}

static const char *space_wrong(struct space *s)
{
    const char *wrong = index_check(&s->index);
    int black;
    if (wrong || s->rule != TREE)
        return wrong;
    if (s->tree.node[0].red || s->tree.node[s->tree.root].red)
        return "a red root";
    wrong = tree_check(&s->tree, s->tree.root, &black);
    word nodes = 0;
    for (int32_t b = s->index.first; !wrong && b; b = s->index.block[b].next)
        for (int32_t k = 0; k < s->index.block[b].count; k++, nodes++) {
            struct position p = {b, k};
            struct node *n = &s->tree.node[node_of(s, p)];
            if (n->start != gap_start(&s->index, p) || n->pages != pages_at(&s->index, p))
                wrong = "a node that is not its gap";
        }
    word spare = 0;
    for (int32_t z = s->tree.spare; z; z = s->tree.node[z].parent)
        spare++;
    if (!wrong && nodes + spare + 1 != s->tree.used)
        wrong = "nodes without a gap";
    return wrong;
}

/* --- for Python -------------------------------------------------------------------------------- */

EXPORT void *vm_space_new(int rule) { return space_make(rule); }
EXPORT void vm_space_free(struct space *s) { space_drop(s); }
EXPORT word vm_reserve(struct space *s, word pages, word order, word vstart, word vend)
{
    return reserve(s, pages, order, vstart, vend);
}
EXPORT int vm_carve(struct space *s, word start, word pages) { return carve(s, start, pages); }
EXPORT int vm_release(struct space *s, word start, word pages) { return release(s, start, pages); }
EXPORT word vm_release_over(struct space *s, word start, word pages)
{
    return release_over(s, start, pages);
}
EXPORT word vm_top_down(struct space *s, word n, const word *offset, const word *size, word order,
                        word vstart, word vend)
{
    return top_down(s, n, offset, size, order, vstart, vend);
}
EXPORT word vm_largest(struct space *s, word vstart, word vend)
{
    return largest_gap(s, vstart, vend);
}
EXPORT word vm_gaps(struct space *s) { return s->index.gaps; }
EXPORT word vm_levels(struct space *s) { return s->index.block[s->index.root].level + 1; }
EXPORT void vm_list_gaps(struct space *s, word *out)
{
    for (int32_t b = s->index.first; b; b = s->index.block[b].next)
        for (int32_t k = 0; k < s->index.block[b].count; k++) {
            struct position p = {b, k};
            *out++ = gap_start(&s->index, p);
            *out++ = pages_at(&s->index, p);
        }
}
static void list_shape(struct space *s, int32_t node, word depth, word **out)
{
    struct node *n = &s->tree.node[node];
    if (!node)
        return;
    word row[4] = {depth, n->start, n->pages, n->red};
    memcpy(*out, row, sizeof row);
    *out += 4;
    list_shape(s, n->child[LEFT], depth + 1, out);
    list_shape(s, n->child[RIGHT], depth + 1, out);
}
EXPORT void vm_list_shape(struct space *s, word *out) { list_shape(s, s->tree.root, 0, &out); }
EXPORT const char *vm_space_wrong(struct space *s) { return space_wrong(s); }

/* Bytes that the free space uses: blocks and nodes in use. */
EXPORT word vm_space_bytes(struct space *s)
{
    word blocks = s->index.used, nodes = s->rule == TREE ? s->tree.used : 0;
    for (int32_t b = s->index.spare; b; b = s->index.block[b].up)
        blocks--;
    for (int32_t z = s->tree.spare; nodes && z; z = s->tree.node[z].parent)
        nodes--;
    return blocks * (word)sizeof(struct block) + nodes * (word)sizeof(struct node);
}

/* Allocations (op 1) and frees of slots, for benchmarks and tests; area: first page and pages. */
EXPORT void vm_replay(struct space *s, word n, const uint8_t *op, const uint32_t *pages,
                      const uint8_t *order, const uint32_t *slot, word *area, word *out,
                      word vstart, word vend)
{
    for (word k = 0; k < n; k++) {
        word *held = &area[2 * (word)slot[k]];
        if (op[k] == 1) {
            held[0] = reserve(s, pages[k], order[k], vstart, vend);
            held[1] = pages[k];
        } else if (held[0] != NOTHING) {
            release(s, held[0], held[1]);
        }
        out[k] = held[0];
    }
}
