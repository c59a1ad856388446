// Depthwise convolution: TN channels of a beat side by side, each with its own 8-bit weights; average pools and
// additions that stand alone are such layers too. FILM-QNN's depthwise layers use no channel parallelism; this kernel
// has TN lanes.
//
// Output beat b reads input beat b modulo the input's beats: with k filters a channel, the j-th of every channel come
// together. Weights of an output beat: [tap] TN bytes, padded to whole beats.
#ifndef INTRAMIX_DEPTHWISE_H
#define INTRAMIX_DEPTHWISE_H

#include "windows.h"

namespace intramix {

typedef ap_uint<DEPTHWISE_BEATS * PORT_BITS> taps_t;
typedef taps_t depthwise_weights_t[TAPS];

inline void load_depthwise(const beat_t *maps, const beat_t *weights, const constant_t *constants, const Layer &layer,
                           const Region &region, window_tile_t window, depthwise_weights_t taps,
                           constant_tile_t constant, output_tile_t identity) {
#pragma HLS INLINE off
    load_window(maps, layer, region.first_beat % layer.input_beats, region, window);
    int count = layer.kernel_rows * layer.kernel_columns;
depthwise_taps:
    for (int tap = 0; tap < count; tap++) {
        taps_t word = 0;
        for (int beat = 0; beat < DEPTHWISE_BEATS; beat++)
            word.range(PORT_BITS * beat + PORT_BITS - 1, PORT_BITS * beat) =
                weights[layer.weights + (region.first_beat * count + tap) * DEPTHWISE_BEATS + beat];
        taps[tap] = word;
    }
    int channels[TM];
    load_constants(constants, layer, region.first_beat * TN, TN, constant, channels);
    if (layer.residual_beats > 0) load_identity(maps, residual_view(layer), region, channels, identity);
}

inline void compute_depthwise(const Layer &layer, const Region &region, const window_tile_t window,
                              const depthwise_weights_t taps, const constant_tile_t constant,
                              const output_tile_t identity, beat_tile_t output) {
#pragma HLS INLINE off
    int columns = window_columns(layer, region);
depthwise_rows:
    for (int row = 0; row < region.rows; row++) {
    depthwise_columns:
        for (int column = 0; column < region.columns; column++) {
            accumulator_t sums[TN];
#pragma HLS ARRAY_PARTITION variable=sums complete
            for (int slot = 0; slot < TN; slot++) {
#pragma HLS UNROLL
                sums[slot] = 0;
            }
        depthwise_window:
            for (int kernel_row = 0; kernel_row < layer.kernel_rows; kernel_row++) {
                for (int kernel_column = 0; kernel_column < layer.kernel_columns; kernel_column++) {
#pragma HLS PIPELINE II=1
                    codes_t codes = window[(row * layer.stride_rows + kernel_row) * columns +
                                           column * layer.stride_columns + kernel_column];
                    taps_t tap = taps[kernel_row * layer.kernel_columns + kernel_column];
                    for (int slot = 0; slot < TN; slot++) {
#pragma HLS UNROLL
                        ap_int<17> product = weight8_t(tap.range(8 * slot + 7, 8 * slot)) * code_of(codes, slot);
                        sums[slot] += product;
                    }
                }
            }
            int place = row * region.columns + column;
            codes_t codes = 0;
            for (int slot = 0; slot < TN; slot++) {
#pragma HLS UNROLL
                code_t other = layer.residual_beats > 0 ? code_of(identity[0][place], slot) : code_t(0);
                codes.range(8 * slot + 7, 8 * slot) =
                    requantize(sums[slot], constant[slot], residual_term(other, layer.residual_multiplier), layer.shift,
                               layer.maximum);
            }
            output[place] = codes;
        }
    }
}

// Load, compute and store of one tile; the arrays between them are double-buffered by the dataflow.
inline void depthwise_tile(const beat_t *maps_in, beat_t *maps_out, const beat_t *weights, const constant_t *constants,
                           const Layer &layer, const Region &region) {
#pragma HLS INLINE off
#pragma HLS DATAFLOW
    window_tile_t window;
    depthwise_weights_t taps;
    constant_tile_t constant;
    output_tile_t identity;
    beat_tile_t output;
#pragma HLS ARRAY_PARTITION variable=constant complete
    load_depthwise(maps_in, weights, constants, layer, region, window, taps, constant, identity);
    compute_depthwise(layer, region, window, taps, constant, identity, output);
    store_beat(maps_out, layer, region, output);
}

inline void depthwise(const beat_t *maps_in, beat_t *maps_out, const beat_t *weights, const constant_t *constants,
                      const Layer &layer) {
#pragma HLS INLINE off
    for (int beat = 0; beat < layer.output_beats; beat++)
        for (int row = 0; row < layer.output_rows; row += layer.tile_rows)
            for (int column = 0; column < layer.output_columns; column += layer.tile_columns)
                depthwise_tile(maps_in, maps_out, weights, constants, layer, beat_region(layer, beat, row, column));
}

}  // namespace intramix

#endif
