// Two compute engines side by side: filters on DSPs and filters on LUTs, for the same two pixels in the same cycle.
//
// A tile's filters are ordered 8 bits, 4 bits on DSPs, 4 bits on LUTs. Both engines are combinational; loops are
// unrolled.
#ifndef INTRAMIX_ENGINES_H
#define INTRAMIX_ENGINES_H

#include "lut_multiply.h"
#include "packed_multiply.h"
#include "types.h"

namespace intramix {

typedef ap_int<SLOT_BITS + 16> partial_t;   // TN products of at most 8 × 6 bits
static_assert(TN <= 128, "a partial sum holds the products of at most 128 channels");

// Weight words of a tap: two for each 8-bit filter (channels 0 … TN/2 − 1, then the rest), one for each 4-bit filter.
inline weight8_t weight8_of(const weight_word_t words[WEIGHT_WORDS], int filter, int channel) {
#pragma HLS INLINE
    weight_word_t word = words[2 * filter + channel / (TN / 2)];
    int place = 8 * (channel % (TN / 2));
    return weight8_t(word.range(place + 7, place));
}

inline ap_uint<4> weight4_of(const weight_word_t words[WEIGHT_WORDS], int filter, int channel) {
#pragma HLS INLINE
    return words[EIGHT_BIT_FILTERS + filter].range(4 * channel + 3, 4 * channel);
}

inline void dsp_engine(const weight_word_t words[WEIGHT_WORDS], word_t pixel0, word_t pixel1, partial_t sums[TM][2]) {
#pragma HLS INLINE
eight_bit_filters:
    for (int filter = 0; filter < EIGHT_BIT_FILTERS; filter++) {
#pragma HLS UNROLL
        partial_t sum0 = 0, sum1 = 0;
        for (int channel = 0; channel < TN; channel++) {
#pragma HLS UNROLL
            weight8_t weight = weight8_of(words, filter, channel);
            slot_t x0 = slot_of(pixel0, channel), x1 = slot_of(pixel1, channel);
            if (EIGHT_BITS_ON_DSP) {
                product8_t products[2];
                packed_multiply_two(weight, x0, x1, products);
                sum0 += products[0];
                sum1 += products[1];
            } else {
                sum0 += lut_multiply_eight(weight, x0);
                sum1 += lut_multiply_eight(weight, x1);
            }
        }
        sums[filter][0] = sum0;
        sums[filter][1] = sum1;
    }
four_bit_pairs:
    for (int filter = EIGHT_BIT_FILTERS; filter < DSP_FILTERS; filter += 2) {
#pragma HLS UNROLL
        bool paired = filter + 1 < DSP_FILTERS;   // an odd last filter leaves half of its DSPs idle
        partial_t sum[4] = {0, 0, 0, 0};
        for (int channel = 0; channel < TN; channel++) {
#pragma HLS UNROLL
            product4_t products[4];
            weight4_t w0 = weight4_t(weight4_of(words, filter, channel));
            weight4_t w1 = paired ? weight4_t(weight4_of(words, filter + 1, channel)) : weight4_t(0);
            packed_multiply_four(w0, w1, slot_of(pixel0, channel), slot_of(pixel1, channel), products);
            for (int field = 0; field < 4; field++) sum[field] += products[field];
        }
        for (int pixel = 0; pixel < 2; pixel++) {
#pragma HLS UNROLL
            sums[filter][pixel] = sum[pixel];
            if (paired) sums[filter + 1][pixel] = sum[2 + pixel];
        }
    }
}

inline void lut_engine(const weight_word_t words[WEIGHT_WORDS], word_t pixel0, word_t pixel1, partial_t sums[TM][2]) {
#pragma HLS INLINE
lut_filters:
    for (int filter = DSP_FILTERS; filter < TM; filter++) {
#pragma HLS UNROLL
        partial_t sum0 = 0, sum1 = 0;
        for (int channel = 0; channel < TN; channel++) {
#pragma HLS UNROLL
            ap_uint<4> weight = weight4_of(words, filter, channel);
            sum0 += lut_multiply(weight, slot_of(pixel0, channel));
            sum1 += lut_multiply(weight, slot_of(pixel1, channel));
        }
        sums[filter][0] = sum0;
        sums[filter][1] = sum1;
    }
}

}  // namespace intramix

#endif
