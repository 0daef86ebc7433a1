/*
 * Free ranges in an augmented red-black tree: what a plain C program does, to compare with.
 *
 * Written from Cormen, Leiserson, Rivest and Stein (red-black trees; augmenting data structures)
 * and from a description in words of how Linux searches its tree of free addresses. One node has
 * the size and the kind of content of the kernel's vmap_area, 72 bytes: tree links, list links, the
 * range, the largest range of the subtree. All quantities are pages; ranges are half open.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

struct range {
	struct range *parent, *left, *right;
	struct range *prev, *next; /* by address; next also links unused nodes */
	int64_t start, end;
	int64_t largest; /* pages of the largest range of this subtree */
	int64_t red;
};

enum { POOL_NODES = 4096 };

struct pool {
	struct pool *older;
	struct range nodes[POOL_NODES];
};

struct ctree {
	struct range *root;
	struct range *unused;
	struct pool *pools;
	int64_t used, peak;
};

/* ---- nodes ---- */

static struct range *new_node(struct ctree *tree, int64_t start, int64_t end)
{
	struct range *node = tree->unused;

	if (!node) {
		struct pool *pool = malloc(sizeof(*pool));

		if (!pool)
			abort();
		pool->older = tree->pools;
		tree->pools = pool;
		for (int i = POOL_NODES - 1; i >= 0; i--) {
			pool->nodes[i].next = tree->unused;
			tree->unused = &pool->nodes[i];
		}
		node = tree->unused;
	}
	tree->unused = node->next;
	if (++tree->used > tree->peak)
		tree->peak = tree->used;
	node->start = start;
	node->end = end;
	return node;
}

static void drop_node(struct ctree *tree, struct range *node)
{
	node->next = tree->unused;
	tree->unused = node;
	tree->used--;
}

/* ---- largest range of a subtree ---- */

static inline int64_t largest_of(const struct range *node)
{
	return node ? node->largest : 0;
}

static inline int64_t compute_largest(const struct range *node)
{
	int64_t most = node->end - node->start;

	if (largest_of(node->left) > most)
		most = largest_of(node->left);
	if (largest_of(node->right) > most)
		most = largest_of(node->right);
	return most;
}

/* Recompute upwards from node, below stop, until a value is right already. */
static void propagate(struct range *node, const struct range *stop)
{
	for (; node != stop; node = node->parent) {
		int64_t most = compute_largest(node);

		if (node->largest == most)
			return;
		node->largest = most;
	}
}

/* ---- the red-black tree ---- */

static void replace_child(struct ctree *tree, struct range *parent, struct range *old,
			  struct range *new)
{
	if (!parent)
		tree->root = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
}

static void rotate_left(struct ctree *tree, struct range *down)
{
	struct range *up = down->right;

	down->right = up->left;
	if (up->left)
		up->left->parent = down;
	up->parent = down->parent;
	replace_child(tree, down->parent, down, up);
	up->left = down;
	down->parent = up;
	up->largest = down->largest;
	down->largest = compute_largest(down);
}

static void rotate_right(struct ctree *tree, struct range *down)
{
	struct range *up = down->left;

	down->left = up->right;
	if (up->right)
		up->right->parent = down;
	up->parent = down->parent;
	replace_child(tree, down->parent, down, up);
	up->right = down;
	down->parent = up;
	up->largest = down->largest;
	down->largest = compute_largest(down);
}

static void insert_fixup(struct ctree *tree, struct range *node)
{
	struct range *parent, *grand, *uncle;

	while ((parent = node->parent) && parent->red) {
		grand = parent->parent; /* there is one: the root is black */
		uncle = parent == grand->left ? grand->right : grand->left;
		if (uncle && uncle->red) {
			parent->red = uncle->red = 0;
			grand->red = 1;
			node = grand;
		} else if (parent == grand->left) {
			if (node == parent->right) {
				rotate_left(tree, parent);
				parent = node;
			}
			parent->red = 0;
			grand->red = 1;
			rotate_right(tree, grand);
			break;
		} else {
			if (node == parent->left) {
				rotate_right(tree, parent);
				parent = node;
			}
			parent->red = 0;
			grand->red = 1;
			rotate_left(tree, grand);
			break;
		}
	}
	tree->root->red = 0;
}

/* Hang a node below parent, on the free side named, between its neighbours in the list. */
static void insert(struct ctree *tree, struct range *node, struct range *parent, int on_left)
{
	node->parent = parent;
	node->left = node->right = NULL;
	node->red = 1;
	node->largest = node->end - node->start;
	if (!parent) {
		tree->root = node;
		node->prev = node->next = NULL;
	} else if (on_left) {
		parent->left = node;
		node->next = parent;
		node->prev = parent->prev;
	} else {
		parent->right = node;
		node->prev = parent;
		node->next = parent->next;
	}
	if (node->prev)
		node->prev->next = node;
	if (node->next)
		node->next->prev = node;
	propagate(parent, NULL);
	insert_fixup(tree, node);
}

/* node, a child of parent and maybe no node at all, lacks one black above it. */
static void erase_fixup(struct ctree *tree, struct range *node, struct range *parent)
{
	struct range *sibling;

	while (parent && !(node && node->red)) {
		if (node == parent->left) {
			sibling = parent->right;
			if (sibling->red) {
				sibling->red = 0;
				parent->red = 1;
				rotate_left(tree, parent);
				sibling = parent->right;
			}
			if (!(sibling->left && sibling->left->red) &&
			    !(sibling->right && sibling->right->red)) {
				sibling->red = 1;
				node = parent;
				parent = node->parent;
				continue;
			}
			if (!(sibling->right && sibling->right->red)) {
				sibling->left->red = 0;
				sibling->red = 1;
				rotate_right(tree, sibling);
				sibling = parent->right;
			}
			sibling->red = parent->red;
			parent->red = 0;
			sibling->right->red = 0;
			rotate_left(tree, parent);
		} else {
			sibling = parent->left;
			if (sibling->red) {
				sibling->red = 0;
				parent->red = 1;
				rotate_right(tree, parent);
				sibling = parent->left;
			}
			if (!(sibling->left && sibling->left->red) &&
			    !(sibling->right && sibling->right->red)) {
				sibling->red = 1;
				node = parent;
				parent = node->parent;
				continue;
			}
			if (!(sibling->left && sibling->left->red)) {
				sibling->right->red = 0;
				sibling->red = 1;
				rotate_left(tree, sibling);
				sibling = parent->left;
			}
			sibling->red = parent->red;
			parent->red = 0;
			sibling->left->red = 0;
			rotate_right(tree, parent);
		}
		return;
	}
	if (node)
		node->red = 0;
}

static void erase(struct ctree *tree, struct range *node)
{
	struct range *child, *parent;
	int64_t red = node->red;

	if (node->left && node->right) {
		struct range *heir = node->right; /* the next in order takes the place */

		while (heir->left)
			heir = heir->left;
		child = heir->right;
		red = heir->red;
		if (heir->parent == node) {
			parent = heir;
		} else {
			parent = heir->parent;
			parent->left = child;
			if (child)
				child->parent = parent;
			heir->right = node->right;
			heir->right->parent = heir;
		}
		heir->left = node->left;
		heir->left->parent = heir;
		heir->parent = node->parent;
		heir->red = node->red;
		heir->largest = node->largest;
		replace_child(tree, node->parent, node, heir);
		if (parent != heir)
			propagate(parent, heir);
		propagate(heir, NULL);
	} else {
		child = node->left ? node->left : node->right;
		parent = node->parent;
		if (child)
			child->parent = parent;
		replace_child(tree, parent, node, child);
		propagate(parent, NULL);
	}
	if (node->prev)
		node->prev->next = node->next;
	if (node->next)
		node->next->prev = node->prev;
	if (!red)
		erase_fixup(tree, child, parent);
	drop_node(tree, node);
}

/* ---- search, carve, merge ---- */

static inline int64_t place(const struct range *node, int64_t align, int64_t vstart)
{
	int64_t lowest = node->start > vstart ? node->start : vstart;

	return (lowest + align - 1) & -align;
}

static inline int fits(const struct range *node, int64_t pages, int64_t align, int64_t vstart)
{
	return place(node, align, vstart) + pages <= node->end;
}

static struct range *search(const struct ctree *tree, int64_t pages, int64_t align,
			    int64_t length, int64_t vstart)
{
	struct range *node = tree->root;

	while (node) {
		if (largest_of(node->left) >= length && vstart < node->start) {
			node = node->left;
			continue;
		}
		if (fits(node, pages, align, vstart))
			return node;
		if (largest_of(node->right) >= length) {
			node = node->right;
			continue;
		}
		while ((node = node->parent)) {
			if (fits(node, pages, align, vstart))
				return node;
			if (largest_of(node->right) >= length && vstart <= node->start) {
				vstart = node->start + 1;
				node = node->right;
				break;
			}
		}
	}
	return NULL;
}

/* Take [start, end) out of the range of a node that contains it. */
static void clip(struct ctree *tree, struct range *node, int64_t start, int64_t end)
{
	if (node->start == start && node->end == end) {
		erase(tree, node);
	} else if (node->start == start) {
		node->start = end;
		propagate(node, NULL);
	} else if (node->end == end) {
		node->end = start;
		propagate(node, NULL);
	} else {
		struct range *left = new_node(tree, node->start, start);

		node->start = end;
		propagate(node, NULL);
		if (!node->left)
			insert(tree, left, node, 1);
		else
			insert(tree, left, node->prev, 0);
	}
}

static inline int64_t reserve(struct ctree *tree, int64_t pages, int order, int64_t vstart,
			      int64_t vend)
{
	int64_t align = (int64_t)1 << order, length = pages, start;
	struct range *node;

	/* size + align - 1 bytes, in whole pages, is one alignment more than the size */
	if (order && vend - vstart != pages)
		length += align;
	node = search(tree, pages, align, length, vstart);
	if (!node)
		return -1;
	start = place(node, align, vstart);
	if (start + pages > vend)
		return -1;
	clip(tree, node, start, start + pages);
	return start;
}

static void release(struct ctree *tree, int64_t start, int64_t end)
{
	struct range *node = tree->root, *parent = NULL, *prev = NULL, *next = NULL, *merged = NULL;
	int on_left = 0;

	while (node) {
		parent = node;
		on_left = end <= node->start;
		node = on_left ? node->left : node->right;
	}
	if (parent) {
		next = on_left ? parent : parent->next;
		prev = on_left ? parent->prev : parent;
	}
	if (next && next->start == end) {
		next->start = start;
		merged = next;
	}
	if (prev && prev->end == start) {
		int64_t last = merged ? merged->end : end;

		if (merged)
			erase(tree, merged);
		prev->end = last;
		merged = prev;
	}
	if (merged)
		propagate(merged, NULL);
	else
		insert(tree, new_node(tree, start, end), parent, on_left);
}

/* ---- for callers ---- */

struct ctree *ctree_new(void)
{
	struct ctree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		abort();
	return tree;
}

void ctree_delete(struct ctree *tree)
{
	while (tree->pools) {
		struct pool *older = tree->pools->older;

		free(tree->pools);
		tree->pools = older;
	}
	free(tree);
}

int64_t ctree_reserve(struct ctree *tree, int64_t pages, int order, int64_t vstart, int64_t vend)
{
	return reserve(tree, pages, order, vstart, vend);
}

void ctree_release(struct ctree *tree, int64_t start, int64_t pages)
{
	release(tree, start, start + pages);
}

/* Take an exact range; 0 if it is not free as a whole. */
int ctree_carve(struct ctree *tree, int64_t start, int64_t pages)
{
	struct range *node = tree->root;

	while (node && !(node->start <= start && start + pages <= node->end))
		node = start < node->start ? node->left : node->right;
	if (!node)
		return 0;
	clip(tree, node, start, start + pages);
	return 1;
}

int64_t ctree_peak_bytes(const struct ctree *tree)
{
	return tree->peak * (int64_t)sizeof(struct range);
}

/* Copy up to room ranges, lowest first; return how many there are. */
int64_t ctree_ranges(const struct ctree *tree, int64_t room, int64_t *starts, int64_t *ends)
{
	struct range *node = tree->root;
	int64_t count = 0;

	while (node && node->left)
		node = node->left;
	for (; node; node = node->next, count++) {
		if (count < room) {
			starts[count] = node->start;
			ends[count] = node->end;
		}
	}
	return count;
}

/* Black nodes on every path below node, or -1 if anything is wrong; *last: the node before. */
static int64_t check(const struct range *node, const struct range *parent,
		     const struct range **last)
{
	int64_t left, right;

	if (!node)
		return 0;
	if (node->parent != parent || (node->red && (!parent || parent->red)))
		return -1;
	left = check(node->left, node, last);
	if (left < 0 || node->prev != *last || (*last && (*last)->next != node))
		return -1;
	if (node->start >= node->end || (*last && (*last)->end >= node->start))
		return -1;
	*last = node;
	right = check(node->right, node, last);
	if (left != right || node->largest != compute_largest(node))
		return -1;
	return left + !node->red;
}

/* 1 if the tree is red-black, in order, merged, linked and augmented as it should be. */
int ctree_check(const struct ctree *tree)
{
	const struct range *last = NULL;

	return check(tree->root, NULL, &last) >= 0 && (!last || !last->next);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/*
 * Replay events: 1 takes pages at 2**order into a slot, 2 gives the slot's range back. One address
 * an event, -1 for a request that failed and for the release of what was never given. Returns the
 * seconds from event skip on; a negative number if there is no memory or a slot is out of range.
 */
double ctree_replay(struct ctree *tree, int64_t events, int64_t skip, const uint8_t *ops,
		    const uint32_t *pages, const uint8_t *order, const uint32_t *slot,
		    int64_t slots, int64_t vstart, int64_t vend, int64_t *addresses)
{
	struct { int64_t start, pages; } *held = malloc((size_t)(slots + 1) * sizeof(*held));
	double begin, seconds;

	if (!held)
		return -1;
	for (int64_t i = 0; i < slots; i++)
		held[i].start = -1;
	for (int64_t i = 0; i < events; i++) {
		if (slot[i] >= slots || (ops[i] != 1 && ops[i] != 2)) {
			free(held);
			return -1;
		}
	}
	begin = now();
	for (int64_t i = 0; i < events; i++) {
		if (i == skip)
			begin = now();
		if (ops[i] == 1) {
			addresses[i] = reserve(tree, pages[i], order[i], vstart, vend);
			held[slot[i]].start = addresses[i];
			held[slot[i]].pages = pages[i];
		} else {
			int64_t start = held[slot[i]].start;

			addresses[i] = start;
			if (start >= 0)
				release(tree, start, start + held[slot[i]].pages);
			held[slot[i]].start = -1;
		}
	}
	seconds = now() - begin;
	free(held);
	return seconds;
}
