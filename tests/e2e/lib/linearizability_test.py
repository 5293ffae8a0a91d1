#!/usr/bin/python3
"""The checker accepts histories that are linearizable, and rejects those that are not: brute force agrees on thousands."""
import itertools
import random
import unittest

from linearizability import Op, _apply, first_contradiction


def ok(*ops):
    return first_contradiction(list(ops), 0) is None


def by_brute_force(history, initial):
    """Tries every order of every subset that leaves out unknown operations only."""
    unknown = [i for i, op in enumerate(history) if op.ret is None]
    for n in range(len(unknown) + 1):
        for left_out in itertools.combinations(unknown, n):
            ops = [op for i, op in enumerate(history) if i not in left_out]
            for order in itertools.permutations(ops):
                if any(b.ret is not None and b.ret < a.call for i, a in enumerate(order) for b in order[i + 1:]):
                    continue
                state, good = initial, True
                for op in order:
                    possible, state = _apply(op, state)
                    good = good and possible
                if good:
                    return True
    return False


class Linearizability(unittest.TestCase):
    def test_good_histories(self):
        self.assertTrue(ok())
        self.assertTrue(ok(Op("read", 0, 1, 0)))
        self.assertTrue(ok(Op("cas", 0, 1, 1, 0), Op("read", 2, 3, 1), Op("refused", 4, 5, None, 0)))
        self.assertTrue(ok(Op("cas", 0, 9, 1, 0), Op("read", 1, 2, 0), Op("read", 3, 4, 1)), "reads around a slow write")
        self.assertTrue(ok(Op("cas", 0, None, 1, 0), Op("read", 5, 6, 1)), "an unanswered write that was made")
        self.assertTrue(ok(Op("cas", 0, None, 1, 0), Op("read", 5, 6, 0)), "an unanswered write that was not, or not yet")
        self.assertTrue(ok(Op("cas", 2, None, 1, 0), Op("refused", 4, 9, None, 0)), "an unanswered write made it refused")
        self.assertTrue(ok(Op("cas", 0, None, 1, 0), Op("cas", 2, None, 2, 1), Op("read", 5, 6, 2)), "both were made")

    def test_bad_histories(self):
        self.assertFalse(ok(Op("read", 0, 1, 7)), "a value that nobody wrote")
        self.assertFalse(ok(Op("cas", 0, 1, 1, 0), Op("read", 2, 3, 0)), "an acknowledged write is lost")
        self.assertFalse(ok(Op("cas", 0, 1, 1, 0), Op("cas", 2, 3, 2, 0)), "two writers both replaced the same value")
        self.assertFalse(ok(Op("cas", 0, 3, 1, 0), Op("cas", 1, 2, 2, 0)), "the same, at the same time")
        self.assertFalse(ok(Op("cas", 0, 9, 1, 0), Op("read", 1, 2, 1), Op("read", 3, 4, 0)), "a read went back in time")
        self.assertFalse(ok(Op("refused", 0, 1, None, 0)), "refused though the value stood there")
        self.assertFalse(ok(Op("cas", 5, None, 1, 0), Op("read", 0, 1, 1)), "read before it was written")

    def test_it_tells_where(self):
        contradiction = first_contradiction([Op("cas", 0, 1, 1, 0), Op("read", 2, 3, 0)], 0)
        explained, stuck = contradiction
        self.assertEqual([op.kind for op in explained], ["cas"])
        self.assertEqual(stuck, [Op("read", 2, 3, 0)])

    def test_agrees_with_brute_force(self):
        rnd, verdicts = random.Random(1), [0, 0]
        for _ in range(1500):
            history = []
            for value in range(1, rnd.randint(2, 6)):
                call = rnd.randint(0, 9)
                ret = None if rnd.random() < 0.25 else call + rnd.randint(0, 5)
                kind = rnd.choice(["read", "cas", "cas", "refused"])
                if kind != "cas" and ret is None:
                    ret = call
                history.append(Op(kind, call, ret, rnd.randint(0, 3) if kind == "read" else value, rnd.randint(0, 3)))
            expected = by_brute_force(history, 0)
            verdicts[expected] += 1
            self.assertEqual(first_contradiction(history, 0) is None, expected, history)
        self.assertGreater(min(verdicts), 150, "both verdicts were seen")

    def test_long_histories_are_quick(self):
        history, value, time = [], 0, 0
        for i in range(1, 2001):
            history.append(Op("cas", time, time + 3, i, value))
            history.append(Op("read", time + 1, time + 2, value))
            history.append(Op("read", time + 4, time + 5, i))
            value, time = i, time + 4
        self.assertIsNone(first_contradiction(history, 0))
        history.append(Op("read", time + 9, time + 10, 7))
        self.assertIsNotNone(first_contradiction(history, 0))


if __name__ == "__main__":
    unittest.main()
