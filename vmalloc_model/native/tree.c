/* The shape of mainline's red-black tree of free ranges.
 *
 * Mainline finds the place of a new node by a descent and repairs subtree_max_size all the way up
 * after every change. Neither is needed for the shape: between two neighbours in address order
 * there is exactly one place for a new node, and rotations and colours depend on nothing else. So
 * the tree has links and colours only; the index of gaps knows the neighbours.
 *
 * The rules are the textbook's (Cormen et al., Introduction to Algorithms; a removed node with two
 * children is replaced by its successor), which give the shapes of lib/rbtree.c. Node 0 is the
 * black sentinel that stands for "no node".
 */
#include "common.h"

enum { LEFT, RIGHT };

struct node {
    int32_t child[2], parent, red;
    word start, pages; /* of its gap */
};

struct tree {
    struct node *node;
    int32_t room, used, spare, root;
};

static void tree_init(struct tree *t)
{
    memset(t, 0, sizeof *t);
    t->room = 16;
    t->used = 1;
    t->node = resized(NULL, 0, t->room, sizeof(struct node));
}

static void rotate(struct tree *t, int32_t x, int side)
{
    struct node *n = t->node;
    int32_t y = n[x].child[!side], inner = n[y].child[side], parent = n[x].parent;
    n[x].child[!side] = inner;
    if (inner)
        n[inner].parent = x;
    n[y].parent = parent;
    if (!parent)
        t->root = y;
    else
        n[parent].child[n[parent].child[RIGHT] == x] = y;
    n[y].child[side] = x;
    n[x].parent = y;
}

/* Add a node between two neighbours in address order (0 at an end). */
static int32_t add_node(struct tree *t, int32_t before, int32_t after)
{
    int32_t z = t->spare;
    if (z) {
        t->spare = t->node[z].parent;
    } else {
        if (t->used == t->room) {
            t->node = resized(t->node, t->room, 2 * (word)t->room, sizeof(struct node));
            t->room *= 2;
        }
        z = t->used++;
    }
    struct node *n = t->node;
    int32_t new = z;
    n[z].child[LEFT] = n[z].child[RIGHT] = 0;
    n[z].red = 1;
    if (before && !n[before].child[RIGHT]) {
        n[before].child[RIGHT] = z;
        n[z].parent = before;
    } else if (after) {
        CHECK(!n[after].child[LEFT]);
        n[after].child[LEFT] = z;
        n[z].parent = after;
    } else {
        t->root = z;
        n[z].parent = 0;
    }
    while (n[n[z].parent].red) {
        int32_t parent = n[z].parent, above = n[parent].parent;
        int side = n[above].child[RIGHT] == parent;
        int32_t uncle = n[above].child[!side];
        if (n[uncle].red) {
            n[parent].red = n[uncle].red = 0;
            n[above].red = 1;
            z = above;
            continue;
        }
        if (n[parent].child[!side] == z) {
            rotate(t, parent, side);
            parent = z;
        }
        n[parent].red = 0;
        n[above].red = 1;
        rotate(t, above, !side);
        break;
    }
    n[t->root].red = 0;
    return new;
}

/* Hang `new` (which may be 0) where `old` hangs. */
static void put_in_place(struct tree *t, int32_t old, int32_t new)
{
    struct node *n = t->node;
    int32_t parent = n[old].parent;
    if (!parent)
        t->root = new;
    else
        n[parent].child[n[parent].child[RIGHT] == old] = new;
    n[new].parent = parent; /* of the sentinel too: a repair starts from there */
}

static void remove_node(struct tree *t, int32_t z)
{
    struct node *n = t->node;
    int32_t x;
    int red = n[z].red;
    if (!n[z].child[LEFT]) {
        x = n[z].child[RIGHT];
        put_in_place(t, z, x);
    } else if (!n[z].child[RIGHT]) {
        x = n[z].child[LEFT];
        put_in_place(t, z, x);
    } else {
        int32_t y = n[z].child[RIGHT];
        while (n[y].child[LEFT])
            y = n[y].child[LEFT];
        red = n[y].red;
        x = n[y].child[RIGHT];
        if (n[y].parent == z) {
            n[x].parent = y;
        } else {
            put_in_place(t, y, x);
            n[y].child[RIGHT] = n[z].child[RIGHT];
            n[n[y].child[RIGHT]].parent = y;
        }
        put_in_place(t, z, y);
        n[y].child[LEFT] = n[z].child[LEFT];
        n[n[y].child[LEFT]].parent = y;
        n[y].red = n[z].red;
    }
    if (!red) {
        /* the paths through x have one black node too few */
        while (x != t->root && !n[x].red) {
            int32_t parent = n[x].parent;
            int side = n[parent].child[LEFT] != x;
            int32_t sibling = n[parent].child[!side];
            if (n[sibling].red) {
                n[sibling].red = 0;
                n[parent].red = 1;
                rotate(t, parent, side);
                sibling = n[parent].child[!side];
            }
            int32_t near = n[sibling].child[side], far = n[sibling].child[!side];
            if (!n[near].red && !n[far].red) {
                n[sibling].red = 1;
                x = parent;
                continue;
            }
            if (!n[far].red) {
                n[near].red = 0;
                n[sibling].red = 1;
                rotate(t, sibling, !side);
                sibling = n[parent].child[!side];
            }
            n[sibling].red = n[parent].red;
            n[parent].red = 0;
            n[n[sibling].child[!side]].red = 0;
            rotate(t, parent, side);
            x = t->root;
        }
        n[x].red = 0;
    }
    n[0].parent = 0;
    n[z].parent = t->spare;
    t->spare = z;
}

/* What is wrong below a node; NULL if nothing. `black` gets the black nodes on each way down. */
static const char *tree_check(struct tree *t, int32_t node, int *black)
{
    if (!node) {
        *black = 0;
        return NULL;
    }
    struct node *n = &t->node[node];
    int height[2];
    for (int side = LEFT; side <= RIGHT; side++) {
        int32_t child = n->child[side];
        if (child && t->node[child].parent != node)
            return "a node that does not know its parent";
        if (n->red && t->node[child].red)
            return "a red node below a red one";
        if (child && (t->node[child].start < n->start) != (side == LEFT))
            return "nodes out of order";
        const char *wrong = tree_check(t, child, &height[side]);
        if (wrong)
            return wrong;
    }
    if (height[LEFT] != height[RIGHT])
        return "ways with different numbers of black nodes";
    *black = height[LEFT] + !n->red;
    return NULL;
}
