// Products made of LUTs: Fixed-4, sums of two powers of two (SP2-4, Mix and Match, HPCA 2021), powers of two (PoT-4),
// and Fixed-8 for boards whose 8-bit filters are not on DSPs.
#ifndef INTRAMIX_LUT_MULTIPLY_H
#define INTRAMIX_LUT_MULTIPLY_H

#include "types.h"

namespace intramix {

typedef ap_int<SLOT_BITS + 8> lut_product_t;   // PoT-4 reaches ±64 · (2^SLOT_BITS − 1)

// Two's complement: a row of AND gates per weight bit.
inline lut_product_t lut_multiply_fixed4(ap_uint<4> weight, slot_t x) {
#pragma HLS INLINE
    lut_product_t sum = 0;
    for (int bit = 0; bit < 3; bit++) {
#pragma HLS UNROLL
        if (weight[bit]) sum += lut_product_t(x) << bit;
    }
    if (weight[3]) sum -= lut_product_t(x) << 3;
    return sum;
}

// Bit 3: sign. Bits 1:0 choose q1 of {0, 1, 2, 4}/8, bit 2 adds q2 = 4/8 (levels over 8): one shift, one add.
inline lut_product_t lut_multiply_sp2(ap_uint<4> weight, slot_t x) {
#pragma HLS INLINE
    ap_uint<2> first = weight.range(1, 0);
    lut_product_t q1 = first == 0 ? lut_product_t(0) : lut_product_t(lut_product_t(x) << (first - 1));
    lut_product_t q2 = weight[2] ? lut_product_t(lut_product_t(x) << 2) : lut_product_t(0);
    lut_product_t magnitude = q1 + q2;
    return weight[3] ? lut_product_t(-magnitude) : magnitude;
}

// Bit 3: sign. Bits 2:0: 0 is 0, code k is 2^(k − 1) (levels over 64): one shift.
inline lut_product_t lut_multiply_pot(ap_uint<4> weight, slot_t x) {
#pragma HLS INLINE
    ap_uint<3> code = weight.range(2, 0);
    lut_product_t magnitude = code == 0 ? lut_product_t(0) : lut_product_t(lut_product_t(x) << (code - 1));
    return weight[3] ? lut_product_t(-magnitude) : magnitude;
}

// Of this build's LUT filters.
inline lut_product_t lut_multiply(ap_uint<4> weight, slot_t x) {
#pragma HLS INLINE
    return INTRAMIX_LUT_MULTIPLY(weight, x);
}

inline ap_int<SLOT_BITS + 9> lut_multiply_eight(weight8_t weight, slot_t x) {
#pragma HLS INLINE
    ap_int<SLOT_BITS + 9> result = weight * x;
    INTRAMIX_IN_FABRIC(result)
    return result;
}

}  // namespace intramix

#endif
