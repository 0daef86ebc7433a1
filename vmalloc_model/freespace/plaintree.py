"""The kernel's free space: a red-black tree of gaps that knows the longest gap of each subtree.

Slow on purpose: nodes with links, as one would draw them. For aligned requests the answer of the
kernel's search depends on the tree's *shape*. So nodes come and go as in the kernel, which does it
as *Introduction to Algorithms* does, the in-order successor taking the place of a removed node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vmalloc_model.freespace.reference import align_up, check_pages

__all__ = ["TreeFreeSpace"]


class _Gap:
    """A gap ``[start, end)`` as a node; `largest` is the longest gap of its subtree."""

    __slots__ = ("end", "largest", "left", "parent", "red", "right", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.largest = end - start
        self.left: _Gap | None = None
        self.right: _Gap | None = None
        self.parent: _Gap | None = None
        self.red = True


class TreeFreeSpace:
    """Free space as mainline keeps it.

    Parameters
    ----------
    gaps : iterable of (int, int)
        Free ranges ``[start, end)`` in pages, disjoint, inserted in this order.

    Notes
    -----
    Source: Linux 6.12 mm/vmalloc.c: ``find_vmap_lowest_match``, ``va_alloc``, ``va_clip``,
    ``__merge_or_add_vmap_area``; checked against every address in the operation logs in
    ``data/runs/``.
    """

    def __init__(self, gaps: Iterable[tuple[int, int]]) -> None:
        self._root: _Gap | None = None
        for start, end in gaps:
            self.release(start, end - start)

    def reserve(self, pages: int, order: int, vstart: int, vend: int) -> int | None:
        """Find a range as ``__alloc_vmap_area`` does and take it; None where it finds none.

        The window's end takes no part in the search: a gap that is found and lies too high makes
        the request fail. Gaps below it were too short, or were not looked at.
        """
        check_pages(pages)
        gap = self._search(pages, order, vstart, vend)
        if gap is None:
            return None
        address = align_up(max(gap.start, vstart), 1 << order)
        if address + pages > vend:
            return None
        self._clip(gap, address, address + pages)
        return address

    def carve(self, start: int, pages: int) -> None:
        """Take exactly the range ``[start, start + pages)``.

        Raises
        ------
        ValueError
            If it is not wholly free.
        """
        check_pages(pages)
        gap, _ = self._around(start)
        if gap is None or gap.end < start + pages:
            raise ValueError(f"not wholly free: [{start}, {start + pages})")
        self._clip(gap, start, start + pages)

    def release(self, start: int, pages: int) -> None:
        """Give back the range ``[start, start + pages)``; it merges with free neighbours.

        A neighbour grows in its place in the tree. Where both touch the range, the upper one is
        removed and the lower one grows over it.

        Raises
        ------
        ValueError
            If a page of it is free already.
        """
        check_pages(pages)
        end = start + pages
        lower, upper = self._around(start)
        if (lower is not None and lower.end > start) or (upper is not None and upper.start < end):
            raise ValueError(f"free already, or partly: [{start}, {end})")
        touches_upper = upper is not None and upper.start == end
        if lower is not None and lower.end == start:
            if upper is not None and touches_upper:
                end = upper.end
                self._remove(upper)
            lower.end = end
            _update_upwards(lower)
        elif upper is not None and touches_upper:
            upper.start = start
            _update_upwards(upper)
        else:
            self._insert(_Gap(start, end))

    def release_over(self, start: int, pages: int) -> int:
        """Give back a range whether or not parts of it are free already.

        Mainline has no such operation. Here the parts that are not free are released one by one in
        ascending order.

        Returns
        -------
        int
            Pages of the range that were free already.
        """
        check_pages(pages)
        end = start + pages
        missing = []
        at = start
        for gap in list(self._ascending()):
            if gap.end <= start or gap.start >= end:
                continue
            if at < gap.start:
                missing.append((at, gap.start))
            at = max(at, gap.end)
        if at < end:
            missing.append((at, end))
        for first, last in missing:
            self.release(first, last - first)
        return pages - sum(last - first for first, last in missing)

    def gaps(self) -> list[tuple[int, int]]:
        """Return the gaps as (start, pages), ascending."""
        return [(gap.start, gap.end - gap.start) for gap in self._ascending()]

    def largest(self, vstart: int, vend: int) -> int:
        """Return the length of the longest free range inside ``[vstart, vend)``, 0 for none."""
        inside = [min(gap.end, vend) - max(gap.start, vstart) for gap in self._ascending()]
        return max([0, *inside])

    def shape(self) -> list[tuple[int, int, int, bool]]:
        """Return (depth, start, pages, red) of every node, each before its children."""
        found = []
        waiting = [(self._root, 0)]
        while waiting:
            gap, depth = waiting.pop()
            if gap is not None:
                found.append((depth, gap.start, gap.end - gap.start, gap.red))
                waiting += [(gap.right, depth + 1), (gap.left, depth + 1)]
        return found

    def check(self) -> None:
        """Verify order, links, colours and the longest gaps."""
        before = None
        for gap in self._ascending():
            assert gap.start < gap.end, f"empty gap at {gap.start}"
            assert before is None or before < gap.start, f"gap at {gap.start} touches the one below"
            before = gap.end
        assert not _is_red(self._root), "the root is red"
        assert self._root is None or self._root.parent is None, "the root has a parent"
        _check_subtree(self._root)

    def _search(self, pages: int, order: int, vstart: int, vend: int) -> _Gap | None:
        """Find a gap as ``find_vmap_lowest_match`` does.

        Two different lengths are at work. Subtrees are chosen by a length that is enough at any
        alignment, in the kernel ``size + align - 1`` *bytes*. A gap of whole pages has that many
        bytes when it has ``pages + align`` pages: one more than a rule in pages would ask for. A
        gap that is met on the way is tested for a real fit. So gaps that are shorter, and would do,
        are found only where the descent happens to meet them.
        """
        align = 1 << order
        exact = order == 0 or vend - vstart == pages
        enough = pages if exact else pages + align

        def fits(gap: _Gap) -> bool:
            return align_up(max(gap.start, vstart), align) + pages <= gap.end

        gap = self._root
        while gap is not None:
            if _largest(gap.left) >= enough and vstart < gap.start:
                gap = gap.left
                continue
            if fits(gap):
                return gap
            if _largest(gap.right) >= enough:
                gap = gap.right
                continue
            # Nothing here. Climb until some node above fits or has a right subtree with room that
            # lies above what was seen; `vstart` remembers how far up that is.
            gap = gap.parent
            while gap is not None:
                if fits(gap):
                    return gap
                if _largest(gap.right) >= enough and vstart <= gap.start:
                    vstart = gap.start + 1
                    gap = gap.right
                    break
                gap = gap.parent
        return None

    def _around(self, page: int) -> tuple[_Gap | None, _Gap | None]:
        """Return the last gap that starts at or below the page, and the first above it."""
        lower = upper = None
        gap = self._root
        while gap is not None:
            if gap.start <= page:
                lower, gap = gap, gap.right
            else:
                upper, gap = gap, gap.left
        return lower, upper

    def _ascending(self) -> Iterator[_Gap]:
        above: list[_Gap] = []
        gap = self._root
        while above or gap is not None:
            while gap is not None:
                above.append(gap)
                gap = gap.left
            gap = above.pop()
            yield gap
            gap = gap.right

    def _clip(self, gap: _Gap, start: int, end: int) -> None:
        """Cut ``[start, end)`` out of a gap that contains it (``va_clip``)."""
        if (gap.start, gap.end) == (start, end):
            self._remove(gap)
        elif gap.start == start:
            gap.start = end
            _update_upwards(gap)
        elif gap.end == end:
            gap.end = start
            _update_upwards(gap)
        else:  # the node keeps what is above; what is below gets a new one
            below = _Gap(gap.start, start)
            gap.start = end
            _update_upwards(gap)
            self._insert(below)

    def _insert(self, new: _Gap) -> None:
        parent = None
        gap = self._root
        while gap is not None:
            parent = gap
            gap = gap.left if new.start < gap.start else gap.right
        new.parent = parent
        if parent is None:
            self._root = new
        elif new.start < parent.start:
            parent.left = new
        else:
            parent.right = new
        _update_upwards(new)
        self._repair_red(new)

    def _repair_red(self, new: _Gap) -> None:
        """Remove a red node with a red parent, from a new leaf upwards."""
        while (parent := new.parent) is not None and parent.red:
            grand = parent.parent
            assert grand is not None, "a red node has a parent: the root is black"
            on_left = parent is grand.left
            uncle = grand.right if on_left else grand.left
            if uncle is not None and uncle.red:
                parent.red = uncle.red = False
                grand.red = True
                new = grand
                continue
            if new is (parent.right if on_left else parent.left):
                self._rotate(parent, left=on_left)
                parent = new
            parent.red = False
            grand.red = True
            self._rotate(grand, left=not on_left)
            break
        assert self._root is not None
        self._root.red = False

    def _remove(self, gone: _Gap) -> None:
        if gone.left is not None and gone.right is not None:
            heir = gone.right
            while heir.left is not None:
                heir = heir.left
            removed_red = heir.red
            child = heir.right
            hole = heir if heir.parent is gone else heir.parent  # what will be above `child`
            if heir.parent is not gone:
                self._replace(heir, child)
                heir.right = gone.right
                heir.right.parent = heir
            self._replace(gone, heir)
            heir.left = gone.left
            heir.left.parent = heir
            heir.red = gone.red
        else:
            removed_red = gone.red
            child = gone.left if gone.left is not None else gone.right
            hole = gone.parent
            self._replace(gone, child)
        if hole is not None:
            _update_upwards(hole)
        if not removed_red:
            self._repair_black(child, hole)

    def _repair_black(self, short: _Gap | None, parent: _Gap | None) -> None:
        """Give the subtree `short` below `parent` back the black node that its paths lack."""
        while parent is not None and not _is_red(short):
            on_left = short is parent.left
            sibling = parent.right if on_left else parent.left
            assert sibling is not None, "the sibling's paths have one black node more"
            if sibling.red:
                sibling.red = False
                parent.red = True
                self._rotate(parent, left=on_left)
                sibling = parent.right if on_left else parent.left
                assert sibling is not None, "a child of the red sibling, so black and not a leaf"
            near, far = (sibling.left, sibling.right) if on_left else (sibling.right, sibling.left)
            if not _is_red(near) and not _is_red(far):
                sibling.red = True
                short, parent = parent, parent.parent
                continue
            if far is None or not far.red:
                assert near is not None, "one of the two is red"
                near.red = False
                sibling.red = True
                self._rotate(sibling, left=not on_left)
                sibling, far = near, sibling
            sibling.red = parent.red
            parent.red = False
            far.red = False
            self._rotate(parent, left=on_left)
            return
        if short is not None:
            short.red = False

    def _rotate(self, top: _Gap, *, left: bool) -> None:
        """Turn `top` and its right (`left` true) or left child: the child comes up."""
        child = top.right if left else top.left
        assert child is not None
        self._replace(top, child)
        if left:
            top.right, child.left = child.left, top
            moved = top.right
        else:
            top.left, child.right = child.right, top
            moved = top.left
        top.parent = child
        if moved is not None:
            moved.parent = top
        _update(top)
        _update(child)

    def _replace(self, old: _Gap, new: _Gap | None) -> None:
        """Hang `new` where `old` hangs."""
        parent = old.parent
        if parent is None:
            self._root = new
        elif parent.left is old:
            parent.left = new
        else:
            parent.right = new
        if new is not None:
            new.parent = parent


def _largest(gap: _Gap | None) -> int:
    return 0 if gap is None else gap.largest


def _is_red(gap: _Gap | None) -> bool:
    return gap is not None and gap.red


def _update(gap: _Gap) -> None:
    gap.largest = max(gap.end - gap.start, _largest(gap.left), _largest(gap.right))


def _update_upwards(gap: _Gap | None) -> None:
    while gap is not None:
        _update(gap)
        gap = gap.parent


def _check_subtree(gap: _Gap | None) -> int:
    """Verify a subtree; return the number of black nodes on each of its paths."""
    if gap is None:
        return 0
    for child in (gap.left, gap.right):
        assert child is None or child.parent is gap, f"wrong parent below {gap.start}"
        assert not (gap.red and _is_red(child)), f"red below red at {gap.start}"
    left, right = _check_subtree(gap.left), _check_subtree(gap.right)
    assert left == right, f"black heights {left} and {right} below {gap.start}"
    longest = max(gap.end - gap.start, _largest(gap.left), _largest(gap.right))
    assert gap.largest == longest, f"longest gap below {gap.start} is {longest}"
    return left + (not gap.red)
