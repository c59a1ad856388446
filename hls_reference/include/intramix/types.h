// Types of the kernels. Every width comes from the generated parameters.h.
#ifndef INTRAMIX_TYPES_H
#define INTRAMIX_TYPES_H

#include <ap_int.h>

#include "parameters.h"
#include "pragmas.h"

namespace intramix {

typedef ap_uint<PORT_BITS> beat_t;                       // of a wide AXI port: a pixel's TN slots, or weights
typedef ap_uint<SLOT_BITS> slot_t;                       // an activation, or a 4-bit digit of a wider one
typedef ap_uint<TN * SLOT_BITS> word_t;                  // TN slots
typedef ap_uint<8> code_t;                               // an activation of any width
typedef ap_uint<8 * TN> codes_t;                         // TN codes
typedef ap_int<4> weight4_t;
typedef ap_int<8> weight8_t;
typedef ap_uint<WEIGHT_WORD_BITS> weight_word_t;         // TN weights of 4 bits, or TN / 2 of 8 bits
typedef ap_int<ACCUMULATOR_BITS> accumulator_t;
typedef ap_int<MULTIPLIER_BITS> multiplier_t;            // M and R
typedef ap_int<BIAS_BITS> bias_t;                        // B + half
typedef ap_uint<64> constant_t;

// Tiles on chip.
typedef word_t input_tile_t[INPUT_DEPTH];
typedef weight_word_t weight_tile_t[WEIGHT_WORDS][TAPS];
typedef codes_t output_tile_t[TM_BEATS][OUTPUT_DEPTH];   // requantized codes, or those of the identity
typedef constant_t constant_tile_t[TM];

inline slot_t slot_of(const word_t &word, int channel) {
#pragma HLS INLINE
    return word.range(SLOT_BITS * channel + SLOT_BITS - 1, SLOT_BITS * channel);
}

inline code_t code_of(const codes_t &codes, int channel) {
#pragma HLS INLINE
    return codes.range(8 * channel + 7, 8 * channel);
}

}  // namespace intramix

#endif
