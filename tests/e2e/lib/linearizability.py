"""Whether a recorded history of one register is linearizable: Wing and Gong's search, with Lowe's memory of what was tried.

An operation has the interval [call, ret] in which it must take effect at one moment; ret is None for one whose outcome
is unknown: it may take effect at any time after its call, or never. The register knows three operations:

    Op("read", call, ret, value)            saw this value
    Op("cas", call, ret, value, expect)     put value where expect stood
    Op("refused", call, ret, None, expect)  was told that something else than expect stands there
"""
from collections import namedtuple

Op = namedtuple("Op", "kind call ret value expect client", defaults=(None, None, None))


def _apply(op, state):
    """The state after op, as (possible, state)."""
    if op.kind == "read":
        return op.value == state, state
    if op.kind == "cas":
        return op.expect == state, op.value
    return op.expect != state, state


def first_contradiction(history, initial):
    """None when an order of the operations explains the history; else the longest explanation that was found, and the
    operations that no continuation of it can place."""
    ops = history
    answered = sum(1 << i for i, op in enumerate(ops) if op.ret is not None)  # these must be placed, the others may be
    forever = max([op.ret for op in ops if op.ret is not None] + [op.call for op in ops] + [0]) + 1
    # Calls and returns in the order of time; at the same moment calls come first, since the intervals touch.
    events = sorted([(op.call, 0, i) for i, op in enumerate(ops)] +
                    [(forever if op.ret is None else op.ret, 1, i) for i, op in enumerate(ops)])
    n = len(events)
    head = n + 1  # a ring of those that are not placed: head, 0 ... n-1, n
    nxt, prv = [*range(1, n + 1), n, 0], [head, *range(n), n]
    returns = {i: at for at, (_, kind, i) in enumerate(events) if kind == 1}

    def lift(at):
        for e in (at, returns[events[at][2]]):
            nxt[prv[e]] = nxt[e]
            prv[nxt[e]] = prv[e]

    def put_back(at):
        for e in (returns[events[at][2]], at):
            nxt[prv[e]] = e
            prv[nxt[e]] = e

    state, placed, tried, stack, best, stuck = initial, 0, set(), [], [], []
    at = nxt[head]
    while placed & answered != answered:
        _, kind, i = events[at]
        if kind == 0:
            possible, after = _apply(ops[i], state)
            key = (placed | 1 << i, after)
            if possible and key not in tried:
                tried.add(key)
                stack.append((at, state))
                state, placed = after, placed | 1 << i
                lift(at)
                if len(stack) > len(best):
                    best = [ops[events[e][2]] for e, _ in stack]
                    stuck = []
                at = nxt[head]
            else:
                at = nxt[at]
            continue
        # A return was reached: its operation had to be placed before this, and could not be.
        if not stuck and len(stack) == len(best):
            stuck = [ops[j] for _, k, j in events[:at + 1] if k == 0 and not placed >> j & 1]
        if not stack:
            return best, stuck
        at, state = stack.pop()
        placed &= ~(1 << events[at][2])
        put_back(at)
        at = nxt[at]
    return None
