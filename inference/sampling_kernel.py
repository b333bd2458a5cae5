"""Choosing each row's next token in one native call for the whole batch.

A row is as wide as the vocabulary and is read a few times while it lies in the core's cache: its greatest number, its
sum, and only those tokens sorted that a filter may keep. No row sees another, so each is treated as if it were alone.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from inference.native_code import bits_of, compiled, exponential, float_of, inlined, wide

NO_TOKEN: Final = -1

_INFINITY_BITS: Final = np.int32(0x7F800000)
_MAGNITUDE: Final = np.int32(0x7FFFFFFF)
# Sums are of so many numbers in float32, and of these sums in float64.
_BLOCK: Final = 512
# Beyond so many nats below the best, a token's weight is zero: where the exponential in float32 ends.
_DEEPEST: Final = np.float32(87)
_DIGIT_BITS: Final = 11
_DIGITS: Final = 2**_DIGIT_BITS


@inlined
def _load(stored: Any, row: Any) -> Any:
    """Copy a row in float32. Its greatest number; not a number where one is none or the greatest is infinite."""
    highest, largest = np.int32(-(2**31)), np.int32(0)
    for index in range(len(row)):
        number = wide(stored[index])
        row[index] = number
        # As whole numbers of the same order: a maximum of floats is no vector operation.
        bits = np.int32(bits_of(number))
        magnitude = np.int32(bits & _MAGNITUDE)
        ordered = bits if bits >= np.int32(0) else np.int32(-magnitude)
        highest = ordered if ordered > highest else highest  # noqa: FURB136
        largest = magnitude if magnitude > largest else largest  # noqa: FURB136
    if largest > _INFINITY_BITS or highest == _INFINITY_BITS:
        return np.float32(np.nan)
    return float_of(np.uint32(highest)) if highest >= np.int32(0) else -float_of(np.uint32(-highest))


@inlined
def _is_finite(number: Any) -> Any:
    # By its bits, since sums may be reordered here, and a number minus itself is then zero whatever it is.
    return np.int32(np.int32(bits_of(np.float32(number))) & _MAGNITUDE) < _INFINITY_BITS


@inlined
def _weigh(row: Any, weights: Any, sums: Any, greatest: Any, factor: Any) -> Any:
    """Each number's weight relative to the greatest, the sums of the blocks, and the sum of all."""
    total = np.float64(0)
    for block in range(len(sums)):
        part = row[block * _BLOCK : (block + 1) * _BLOCK]
        out = weights[block * _BLOCK : (block + 1) * _BLOCK]
        block_sum = np.float32(0)
        for index in range(len(part)):
            depth = (part[index] - greatest) * factor
            weight = exponential(depth)
            weight = weight if depth > -_DEEPEST else np.float32(0)
            out[index] = weight
            block_sum += weight
        sums[block] = block_sum
        total += block_sum
    return total


@inlined
def _first_equal(row: Any, number: Any) -> Any:
    for index in range(len(row)):
        if row[index] == number:
            return index
    return 0


@inlined
def _invert(weights: Any, sums: Any, target: Any) -> Any:
    """The first index where the running sum of the weights exceeds the target."""
    running, last = 0.0, 0
    for block in range(len(sums)):
        if running + sums[block] > target:
            inside = running
            for index in range(block * _BLOCK, min((block + 1) * _BLOCK, len(weights))):
                inside += weights[index]
                if inside > target:
                    return index
                # Rounding may leave the target between a block's sum and the sum of its weights.
                last = index if weights[index] > 0 else last
            return last
        running += sums[block]
    return last


@inlined
def _least(weights: Any, total: Any, top_k: Any, top_p: Any, min_p: Any) -> Any:
    """A weight that is reached by all tokens that the filters may keep, and by not many more."""
    if top_k == 0 and top_p >= 1:
        return np.float32(min_p)
    depth = np.float32(0)
    while depth < _DEEPEST:
        depth += np.float32(1) + depth / np.float32(4)
        least = exponential(-depth)
        count, mass = np.int64(0), np.float64(0)
        for first in range(0, len(weights), _BLOCK):
            part = weights[first : first + _BLOCK]
            block_count, block_mass = np.int32(0), np.float32(0)
            for index in range(len(part)):
                weight = part[index]
                block_count += np.int32(1) if weight >= least else np.int32(0)
                block_mass += weight if weight >= least else np.float32(0)
            count += block_count
            mass += block_mass
        # What top-k cuts has no part in the mass that top-p counts, so the best k must all be there.
        if (count >= top_k) if top_k > 0 else (mass >= top_p * total):
            return least
    return np.float32(0)


@inlined
def _gather(weights: Any, sums: Any, least: Any, found: Any) -> Any:
    """The tokens whose weight is above 0 and reaches the least, and how many they are."""
    count = 0
    for block in range(len(sums)):
        if sums[block] >= least:
            first = block * _BLOCK
            part = weights[first : first + _BLOCK]
            for index in range(len(part)):
                # Written always, kept only where it counts: a branch would be guessed wrong.
                found[count] = first + index
                count += 1 if part[index] >= least and part[index] > 0 else 0
    return count


@inlined
def _sort(tokens: Any, count: Any, weights: Any, spare: Any, ends: Any) -> Any:
    """The tokens in descending order of their weights, equal ones as they stood: by digits, the lowest first."""
    for shift in range(0, 32, _DIGIT_BITS):
        ends[:] = 0
        for index in range(count):
            ends[_digit(weights[tokens[index]], shift)] += 1
        total = 0
        for digit in range(len(ends)):
            total, ends[digit] = total + ends[digit], total
        for index in range(count):
            digit = _digit(weights[tokens[index]], shift)
            spare[ends[digit]] = tokens[index]
            ends[digit] += 1
        tokens, spare = spare, tokens
    return tokens


@inlined
def _digit(weight: Any, shift: Any) -> Any:
    return _DIGITS - 1 - ((np.int64(bits_of(weight)) >> shift) & (_DIGITS - 1))


@inlined
def _draw(tokens: Any, count: Any, weights: Any, total: Any, top_k: Any, top_p: Any, min_p: Any, point: Any) -> Any:
    """Invert the distribution of those of the sorted tokens that the filters keep, at `point`."""
    if top_k > 0:
        count = min(count, top_k)
        total = 0.0
        for index in range(count):
            total += weights[tokens[index]]
    kept, mass = 0, 0.0
    while kept < count and (kept == 0 or (mass < top_p * total and weights[tokens[kept]] >= min_p)):
        mass += weights[tokens[kept]]
        kept += 1
    running = 0.0
    for index in range(kept):
        running += weights[tokens[index]]
        if running > point * mass:
            return tokens[index]
    return tokens[kept - 1]


@compiled
def choose_rows(
    logits: Any,
    adjusted: Any,
    adjusted_at: Any,
    temperatures: Any,
    top_ks: Any,
    top_ps: Any,
    min_ps: Any,
    points: Any,
    tokens: Any,
    logprobs: Any,
    totals: Any,
) -> None:
    """Choose a token of each row of logits; its log-probability, and the logarithm of the row's sum, are of the row.

    Row `adjusted_at[row]` of `adjusted` is chosen from instead, where that is not negative. A temperature of 0 takes
    the greatest number, the first of equals; otherwise `points[row]`, in [0, 1), says which part of the distribution's
    sum is the choice: in the vocabulary's order, or, where a filter is on, in the order of probability. NO_TOKEN stands
    for rows that are not numbers.
    """
    width = logits.shape[1]
    row, weights = np.empty(width, np.float32), np.empty(width, np.float32)
    sums = np.empty((width + _BLOCK - 1) // _BLOCK, np.float32)
    found, spare, ends = np.empty(width + 1, np.int64), np.empty(width, np.int64), np.empty(_DIGITS, np.int64)
    for number in range(len(logits)):
        tokens[number] = NO_TOKEN
        greatest = _load(logits[number], row)
        if not _is_finite(greatest):
            continue
        total = _weigh(row, weights, sums, greatest, np.float32(1))
        totals[number] = greatest + np.log(total)
        temperature = temperatures[number]
        at = adjusted_at[number]
        if at >= 0:
            greatest = _load(adjusted[at], row)
        # A row in which everything is forbidden has nothing to draw from.
        if temperature == 0 or not _is_finite(greatest):
            token = _first_equal(row, greatest)
        else:
            if at >= 0 or temperature != 1:
                # A factor of infinity would make the best number's weight none.
                factor = np.float32(min(1 / temperature, 1e30))
                total = _weigh(row, weights, sums, greatest, factor)
            top_k, top_p, min_p = top_ks[number], top_ps[number], min_ps[number]
            if top_k > 0 or top_p < 1 or min_p > 0:
                count = _gather(weights, sums, _least(weights, total, top_k, top_p, min_p), found)
                ordered = _sort(found, count, weights, spare, ends)
                token = _draw(ordered, count, weights, total, top_k, top_p, min_p, points[number])
            else:
                token = _invert(weights, sums, points[number] * total)
        logprob = wide(logits[number, token]) - totals[number]
        if _is_finite(logprob):
            tokens[number] = token
            logprobs[number] = logprob
