// y = clip((acc · M + r · R + B + half) >> S, 0, maximum): scale, add, round half up, clamp; in 48 bits, a DSP's
// accumulator.
#ifndef INTRAMIX_REQUANTIZE_H
#define INTRAMIX_REQUANTIZE_H

#include "residual.h"
#include "types.h"

namespace intramix {

// A filter's constants: 64 bits, laid out as the RTL's (isa.CONSTANT_LAYOUT); B has half added already.
inline multiplier_t multiplier_of(constant_t constant) {
#pragma HLS INLINE
    return multiplier_t(constant.range(MULTIPLIER_LOW + MULTIPLIER_BITS - 1, MULTIPLIER_LOW));
}

inline bias_t bias_of(constant_t constant) {
#pragma HLS INLINE
    return bias_t(constant.range(BIAS_LOW + BIAS_BITS - 1, BIAS_LOW));
}

// `residual` is r · R. No sum leaves REQUANTIZER_BITS: accumulators have at most 27 bits.
inline code_t requantize(accumulator_t sum, constant_t constant, residual_t residual, ap_uint<6> shift,
                         code_t maximum) {
#pragma HLS INLINE
    ap_int<REQUANTIZER_BITS> scaled = sum * multiplier_of(constant);
    ap_int<REQUANTIZER_BITS> total = scaled + residual + bias_of(constant);
    ap_int<REQUANTIZER_BITS> shifted = total >> shift;
    if (shifted < 0) return 0;
    return shifted > maximum ? maximum : code_t(shifted);
}

}  // namespace intramix

#endif
