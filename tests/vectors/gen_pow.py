#!/usr/bin/env python3
"""Make pow.json: powers of doubles, correctly rounded, from decimal arithmetic of 150 digits.

Run as: gen_pow.py [FILE...] >pow.json. Cases of the files are taken up, a line each ("x y" and whatever else, as bits in
hexadecimal). Those of pow.json are in which the pow() of a C library was a bit off, and in which 128 bits of it do not tell how to round.
"""
import decimal
import fractions
import itertools
import json
import math
import random
import struct
import sys

CONTEXT = decimal.Context(prec=150, Emin=-10 ** 6, Emax=10 ** 6, rounding=decimal.ROUND_HALF_EVEN, traps=[])
TINY = fractions.Fraction(1, 10 ** 120)
HARD = 400		# of each kind of hard case


def bits(v):
    return f"{struct.unpack('>Q', struct.pack('>d', v))[0]:016x}"


def double(text):
    return struct.unpack(">d", bytes.fromhex(text))[0]


def nearest(v):
    """The double nearest to a positive decimal of 150 digits, which may stand for one half-way between two."""
    exact = fractions.Fraction(v)
    low = 0.0 if v < decimal.Decimal("1e-330") else float(v)
    if math.isinf(low):		# beyond the largest and half a unit
        return low
    for other in (math.nextafter(low, 0), math.nextafter(low, math.inf)):
        if math.isinf(other):
            continue
        middle = (fractions.Fraction(low) + fractions.Fraction(other)) / 2
        if abs(exact - middle) < TINY * middle:		# the same, but for the digits that are cut off
            return low if int(bits(low), 16) % 2 == 0 else other
    return low


def power(x, y):
    if y == 0 or x == 1:
        return 1.0
    if x == 0 or math.isinf(x):
        return x
    return nearest(CONTEXT.exp(CONTEXT.multiply(decimal.Decimal(y), CONTEXT.ln(decimal.Decimal(x)))))


def wide(x, y):
    """x^y = number * 2^exponent for a number from 1 to 2, this cut off to units of 2^-254. Not for exact powers of two."""
    v = CONTEXT.exp(CONTEXT.multiply(decimal.Decimal(y), CONTEXT.ln(decimal.Decimal(x))))
    exponent = math.floor(CONTEXT.divide(CONTEXT.ln(v), CONTEXT.ln(decimal.Decimal(2))))
    number = CONTEXT.multiply(v, CONTEXT.power(decimal.Decimal(2), 254 - exponent))
    return f"{int(number):064x}", exponent


def distance(x, y):
    """How near x^y is to half-way between two doubles, in units of the last place; of powers near 1."""
    units = CONTEXT.multiply(CONTEXT.exp(CONTEXT.multiply(decimal.Decimal(y), CONTEXT.ln(decimal.Decimal(x)))), 2 ** 52)
    return abs(units % 1 - decimal.Decimal("0.5"))


def edges():
    top, tiny, least = 2.0 ** 53 - 1, 5e-324, 2.2250738585072014e-308
    yield from ((0.0, 0.0), (0.0, tiny), (0.0, 0.7), (0.0, 100.0), (1.0, 0.7), (1.0, 100.0), (7.0, 0.0), (math.inf, 0.0), (math.inf, 1.5))
    yield from ((top, 19.0), (top, 19.5), (2.0, 100.0), (3.0, 100.0), (1300.0, 100.0), (top, 100.0), (1e-15, 100.0), (1e-15, 21.5),
                (1e-15, 21.54), (1e-15, 21.6), (1e-15, 20.6), (1e-15, 20.5), (top, tiny), (tiny, tiny), (tiny, 1.0), (tiny, 0.5), (tiny, 1.5),
                (least, 1.0), (1.7976931348623157e308, 1.0), (1.7976931348623157e308, 1.0000000000000002), (2.0 ** -537, 2.0),
                (2.0 ** -538, 2.0), (3 * 2.0 ** -538, 2.0), (2.0 ** 512, 2.0), (2.0 ** 511.0, 2.0))
    for up in range(-3, 4):		# the largest double, the least normal and the least of all, and what is next
        for base, goal in ((10.0, 1024), (20000.0, 1024), (0.05, -1022), (0.05, -1074), (0.05, -1075), (0.001, -1074), (0.3, -1022.5)):
            y = goal / math.log2(base)
            for _ in range(abs(up)):
                y = math.nextafter(y, math.inf if up > 0 else 0)
            if y <= 100:
                yield base, y
        if abs(up) < 3:
            yield 1 + 2.0 ** -52 * abs(up), 99.5
            yield 1 - 2.0 ** -53 * abs(up), 3.7


def exact(r):
    """Powers with few bits: squares, cubes and roots of such, many of 54 bits, half-way between two doubles."""
    for _ in range(HARD):
        q = r.choice((2, 2, 2, 3, 3, 5, 7, 11, 33))
        root = r.randrange(1, int(2 ** (54 / q)) + 1) | 1
        yield float(root) * 2.0 ** r.randrange(-15, 16), float(q)
        s = r.randrange(1, 6)
        small = r.randrange(1, max(2, int(2 ** (52 / 2 ** s)))) | 1
        x = small ** 2 ** s
        if x < 2 ** 53:
            yield float(x) * 2.0 ** (2 ** s * r.randrange(-3, 4)), r.choice((1, 3, 5, 7)) / 2 ** s
    for bits_ in range(-1074, 1024, 97):
        for y in (0.5, 0.25, 1.75, 3.0, 2 ** -10):
            yield 2.0 ** bits_, y


def hard(r):
    """Powers near 1: y is small, so it can be chosen with x^y next to half-way. The nearest of many."""
    found = []
    for i in range(40000):
        x = float(r.randrange(2, 10 ** r.randrange(2, 15))) if i % 2 else r.randrange(1, 5000) / 20
        if x == 1 or x == 0:
            continue
        middle = decimal.Decimal(1) + decimal.Decimal(2 * r.randrange(0, 2 ** r.randrange(1, 8)) + 1) * decimal.Decimal(2) ** -53
        y = float(CONTEXT.divide(CONTEXT.ln(middle), CONTEXT.ln(decimal.Decimal(x))))
        if x > 1:
            found.append((distance(x, y), x, y))
    found.sort()
    for _, x, y in found[:HARD]:
        yield x, y


def usual(r):
    for _ in range(HARD):
        yield float(r.randrange(0, 3000)), 0.7
        yield r.randrange(0, 5000) / 20, 1.85
        yield float(r.randrange(0, 2 ** r.randrange(1, 54))), 100 * r.random()
        yield r.randrange(0, 10 ** 6) / r.randrange(1, 10 ** 15), 100 * r.random() ** 3


def main():
    r = random.Random(20261122)
    cases = [*edges(), *exact(r), *hard(r), *usual(r)]
    for name in sys.argv[1:]:
        with open(name, encoding="ascii") as f:
            cases += [tuple(double(text) for text in line.split()[:2]) for line in f]
    digits = [(x, y) for x, y in (*itertools.islice(hard(r), 40), *usual(r)) if x > 1 and y > 0 and not x.hex().startswith("0x1.0000000000000p")][:160]
    digits += [(x, y) for x, y in usual(r) if 0 < x < 0.9 and y > 0 and x ** y > 0][:60]
    rows = [f'["{bits(x)}","{bits(y)}","{bits(power(x, y))}"]' for x, y in cases]
    more = [json.dumps([bits(x), bits(y), *wide(x, y)], separators=(",", ":")) for x, y in digits]
    about = ("cases: x, y and x^y, correctly rounded, as the bits of IEEE doubles. digits: x, y, m, e, where x^y = m * 2^(e - 254), "
             "and m is cut off. Made by gen_pow.py")
    print('{"about":' + json.dumps(about) + ',"cases":[\n' + ",\n".join(rows) + '\n],"digits":[\n' + ",\n".join(more) + "\n]}")


if __name__ == "__main__":
    main()
