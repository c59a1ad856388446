// Linear layers: the input vector on chip, weights streamed past it once, a word (TN weights of 4 bits or TN / 2 of
// 8) a cycle.
//
// Every weight is used once, so the port sets the pace, not the multipliers: these are plain, on whole codes, and the
// packed ones stay with the convolutions. Weights lie as a convolution's: [filter tile][channel tile][tap] words.
#ifndef INTRAMIX_LINEAR_H
#define INTRAMIX_LINEAR_H

#include <hls_stream.h>

#include "windows.h"

namespace intramix {

typedef codes_t vector_t[VECTOR_WORDS];   // [channel tile][tap]

inline int linear_taps(const Layer &layer) {
#pragma HLS INLINE
    return layer.input_beats * layer.kernel_rows * layer.kernel_columns;
}

inline void load_vector(const beat_t *maps, const Layer &layer, vector_t vector) {
#pragma HLS INLINE off
    int taps = layer.kernel_rows * layer.kernel_columns;
    for (int beat = 0; beat < layer.input_beats; beat++)
        for (int row = 0; row < layer.kernel_rows; row++)
            for (int column = 0; column < layer.kernel_columns; column++) {
#pragma HLS PIPELINE
                vector[beat * taps + row * layer.kernel_columns + column] =
                    read_codes(maps, input_view(layer), beat, row, column);
            }
}

inline void stream_weights(const beat_t *weights, const Layer &layer, int filter_tile,
                           hls::stream<weight_word_t> &words) {
#pragma HLS INLINE off
    int frames = linear_taps(layer) * FRAMES_PER_TAP;
linear_frames:
    for (int frame = 0; frame < frames; frame++) {
#pragma HLS PIPELINE
        frame_t data = read_frame(weights, layer.weights + (filter_tile * frames + frame) * FRAME_BEATS);
        for (int word = 0; word < FRAME_WORDS; word++) words.write(frame_word(data, word));
    }
}

// A 4-bit weight of a filter as the integer it stands for.
inline weight8_t decoded(ap_uint<4> weight, int filter) {
#pragma HLS INLINE
    return filter < DSP_FILTERS ? weight8_t(weight4_t(weight)) : weight8_t(lut_multiply(weight, slot_t(1)));
}

inline void multiply_stream(const Layer &layer, const vector_t vector, hls::stream<weight_word_t> &words,
                            accumulator_t sums[TM]) {
#pragma HLS INLINE off
    int taps = linear_taps(layer);
    for (int filter = 0; filter < TM; filter++) {
#pragma HLS UNROLL
        sums[filter] = 0;
    }
linear_taps:
    for (int tap = 0; tap < taps; tap++) {
        codes_t codes = vector[tap];
    linear_words:
        for (int word = 0; word < FRAMES_PER_TAP * FRAME_WORDS; word++) {
#pragma HLS PIPELINE II=1
            weight_word_t weights = words.read();
            bool eight = word < 2 * EIGHT_BIT_FILTERS;
            int filter = eight ? word / 2 : word - EIGHT_BIT_FILTERS;
            int first = eight && word % 2 == 1 ? TN / 2 : 0;
            accumulator_t sum = 0;
            for (int channel = 0; channel < TN; channel++) {
#pragma HLS UNROLL
                if (eight && channel >= TN / 2) continue;
                int place = 8 * (channel % (TN / 2));
                weight8_t weight = eight ? weight8_t(weights.range(place + 7, place))
                                         : decoded(weights.range(4 * channel + 3, 4 * channel), filter);
                ap_int<17> product = weight * code_of(codes, first + channel);
                INTRAMIX_IN_DSP(product)
                sum += product;
            }
            if (filter < TM) sums[filter] += sum;   // words beyond are a frame's padding
        }
    }
}

inline void store_vector(beat_t *maps, const constant_t *constants, const Layer &layer, int filter_tile,
                         const accumulator_t sums[TM]) {
#pragma HLS INLINE off
    constant_tile_t constant;
    int identity[TM];
    int beats = least(TM_BEATS, layer.output_beats - filter_tile * TM_BEATS);
    load_constants(constants, layer, filter_tile * TM, beats * TN, constant, identity);
    for (int beat = 0; beat < beats; beat++) {
        codes_t codes = 0;
        for (int slot = 0; slot < TN; slot++)
            codes.range(8 * slot + 7, 8 * slot) =
                requantize(sums[beat * TN + slot], constant[beat * TN + slot], 0, layer.shift, layer.maximum);
        for (int digit = 0; digit < layer.output_digits; digit++)
            store_codes(maps, output_view(layer), digit, filter_tile * TM_BEATS + beat, 0, 0, codes);
    }
}

inline void linear_tile(beat_t *maps, const beat_t *weights, const constant_t *constants, const Layer &layer,
                        int filter_tile, const vector_t vector) {
#pragma HLS INLINE off
#pragma HLS DATAFLOW
    hls::stream<weight_word_t> words("words");
#pragma HLS STREAM variable=words depth=32
    accumulator_t sums[TM];
#pragma HLS ARRAY_PARTITION variable=sums complete
    stream_weights(weights, layer, filter_tile, words);
    multiply_stream(layer, vector, words, sums);
    store_vector(maps, constants, layer, filter_tile, sums);
}

inline void linear(const beat_t *maps_in, beat_t *maps_out, const beat_t *weights, const constant_t *constants,
                   const Layer &layer) {
#pragma HLS INLINE off
    static vector_t vector;
    load_vector(maps_in, layer, vector);
    for (int tile = 0; tile < layer.filter_tiles; tile++)
        linear_tile(maps_out, weights, constants, layer, tile, vector);
}

}  // namespace intramix

#endif
