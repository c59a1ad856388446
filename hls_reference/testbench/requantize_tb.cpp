// The requantizer at the ends of its ranges and at random, against 128-bit integers.
#include <iostream>

#include "intramix/requantize.h"

using namespace intramix;

static unsigned long long state = 88172645463325252ULL;

static unsigned long long next() {   // xorshift64, Marsaglia 2003
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static long long signed_random(int bits) {
    switch (next() % 8) {
    case 0: return (1LL << (bits - 1)) - 1;
    case 1: return -(1LL << (bits - 1));
    case 2: return 0;
    default: {
        int width = 2 + next() % (bits - 1);
        return (long long)(next() << (64 - width)) >> (64 - width);
    }
    }
}

int main() {
    const long cases = 1000000;
    long wrong = 0;
    for (long index = 0; index < cases; index++) {
        long long sum = signed_random(ACCUMULATOR_BITS), m = signed_random(MULTIPLIER_BITS);
        long long b = signed_random(BIAS_BITS);
        long long r = next() % 256, scale = signed_random(MULTIPLIER_BITS);
        int shift = next() % (MAXIMUM_SHIFT + 1), maximum = (2 << next() % 8) - 1;
        __int128 total = (__int128)sum * m + (__int128)r * scale + b;
        __int128 expected = total >> shift;
        if (expected < 0) expected = 0;
        if (expected > maximum) expected = maximum;
        constant_t constant = 0;
        constant.range(MULTIPLIER_LOW + MULTIPLIER_BITS - 1, MULTIPLIER_LOW) = multiplier_t(m);
        constant.range(BIAS_LOW + BIAS_BITS - 1, BIAS_LOW) = bias_t(b);
        code_t found = requantize(sum, constant, residual_term(r, scale), shift, maximum);
        wrong += int(found) != int(expected);
    }
    std::cout << cases << " requantizations, " << wrong << " wrong" << std::endl;
    return wrong ? 1 : 0;
}
