// Several small products in one DSP slice (FILM-QNN, FPGA 2022): (A + D) · B with operands far enough apart.
//
// Weights are signed, so a negative field borrows 1 from the field above it; the field's own top bit, added back
// above, pays it exactly. The Amaranth design stores weights offset-binary instead and needs no such correction.
#ifndef INTRAMIX_PACKED_MULTIPLY_H
#define INTRAMIX_PACKED_MULTIPLY_H

#include "types.h"

namespace intramix {

typedef ap_int<10> product4_t;   // 4 × SLOT_BITS bits: −8 · 63 … 7 · 63
typedef ap_int<14> product8_t;   // 8 × SLOT_BITS bits: −128 · 63 … 127 · 63
static_assert(SLOT_BITS <= 6, "a field of the packed products holds activations of at most 6 bits");

// Four products of two 4-bit weights (two filters) and two activations (two pixels) in one DSP:
// A = w0, D = w1 · 2^20, B = x1 · 2^10 + x0; fields of 10 bits: w0·x0, w0·x1, w1·x0, w1·x1.
inline void packed_multiply_four(weight4_t w0, weight4_t w1, slot_t x0, slot_t x1, product4_t products[4]) {
#pragma HLS INLINE
    ap_int<25> a = w0;
    ap_int<25> d = ap_int<25>(w1) << 20;
    ap_int<18> b = (ap_int<18>(x1) << 10) | ap_int<18>(x0);
    ap_int<25> pre_added = a + d;
    ap_int<43> result = pre_added * b;
    INTRAMIX_IN_DSP(result)
    for (int field = 0; field < 4; field++) {
#pragma HLS UNROLL
        ap_int<10> bits = result.range(10 * field + 9, 10 * field);
        products[field] = field == 0 ? product4_t(bits) : product4_t(bits + ap_uint<1>(result[10 * field - 1]));
    }
}

// Two products of one 8-bit weight and two activations (two pixels) in one DSP:
// A + D = x1 · 2^14 + x0, B = w; fields of 14 bits: w·x0, w·x1.
inline void packed_multiply_two(weight8_t w, slot_t x0, slot_t x1, product8_t products[2]) {
#pragma HLS INLINE
    ap_int<25> a = x0;
    ap_int<25> d = ap_int<25>(x1) << 14;
    ap_int<18> b = w;
    ap_int<25> pre_added = a + d;
    ap_int<43> result = pre_added * b;
    INTRAMIX_IN_DSP(result)
    products[0] = product8_t(result.range(13, 0));
    products[1] = product8_t(ap_int<14>(result.range(27, 14)) + ap_uint<1>(result[13]));
}

}  // namespace intramix

#endif
