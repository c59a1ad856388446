// The tiled convolution engine: tiles of Tm filters × Tn channels × tile_rows × tile_columns outputs.
//
// Loop nest, outermost first: tile rows, tile columns, filter tiles, input digits, channel tiles; one iteration is a
// *step*. While step n is computed, step n + 1 is loaded and the outputs of step n − 1 are stored: two of every
// buffer, used in turn. Inside a step, outermost first: kernel rows, kernel columns, pairs of pixels at II = 1, Tm
// and Tn unrolled. Consecutive iterations belong to different pixels, so that an accumulator's latency hides behind
// the others'.
#ifndef INTRAMIX_CONVOLUTION_H
#define INTRAMIX_CONVOLUTION_H

#include "engines.h"
#include "requantize.h"
#include "residual.h"
#include "views.h"

namespace intramix {

typedef accumulator_t accumulators_t[TM][2][OUTPUT_DEPTH / 2];
static_assert(ACCUMULATION_LATENCY == 4, "the distance that accumulate() states to the tool");

// Where a step stands in the loop nest.
struct Step {
    int row, column;             // of the tile's first output
    int filter_tile, digit, channel_tile;
};

inline int least(int a, int b) { return a < b ? a : b; }

inline int step_count(const Layer &layer) {
    int tiles = ((layer.output_rows + layer.tile_rows - 1) / layer.tile_rows) *
                ((layer.output_columns + layer.tile_columns - 1) / layer.tile_columns);
    return tiles * layer.filter_tiles * layer.input_digits * layer.input_beats;
}

inline void advance(Step &step, const Layer &layer) {
    if (++step.channel_tile < layer.input_beats) return;
    step.channel_tile = 0;
    if (++step.digit < layer.input_digits) return;
    step.digit = 0;
    if (++step.filter_tile < layer.filter_tiles) return;
    step.filter_tile = 0;
    if ((step.column += layer.tile_columns) < layer.output_columns) return;
    step.column = 0;
    step.row += layer.tile_rows;
}

inline bool is_last(const Step &step, const Layer &layer) {
    return step.channel_tile == layer.input_beats - 1 && step.digit == layer.input_digits - 1;
}

inline Region region_of(const Step &step, const Layer &layer) {
    Region region;
    region.first_beat = step.filter_tile * TM_BEATS;
    region.beats = least(TM_BEATS, layer.output_beats - region.first_beat);
    region.row = step.row;
    region.rows = least(layer.tile_rows, layer.output_rows - step.row);
    region.column = step.column;
    region.columns = least(layer.tile_columns, layer.output_columns - step.column);
    return region;
}

// Load ---------------------------------------------------------------------------------------------------------------

inline void load_input(const beat_t *maps, const Layer &layer, const Step &step, input_tile_t tile) {
    Region region = region_of(step, layer);
    int rows = (region.rows - 1) * layer.stride_rows + layer.kernel_rows;
    int columns = (region.columns - 1) * layer.stride_columns + layer.kernel_columns;
    int first_row = region.row * layer.stride_rows - layer.pad_top;
    int first_column = region.column * layer.stride_columns - layer.pad_left;
input_rows:
    for (int row = 0; row < rows; row++) {
    input_columns:
        for (int column = 0; column < columns; column++) {
#pragma HLS PIPELINE II=1
            tile[row * columns + column] = read_word(maps, input_view(layer), step.digit, step.channel_tile,
                                                     first_row + row, first_column + column);
        }
    }
}

inline void load_weights(bool enabled, const beat_t *weights, const Layer &layer, const Step &step,
                         weight_tile_t tile) {
#pragma HLS INLINE off
    if (!enabled) return;
    int taps = layer.kernel_rows * layer.kernel_columns;
    int beats = taps * FRAMES_PER_TAP * FRAME_BEATS;
    int address = layer.weights + (step.filter_tile * layer.input_beats + step.channel_tile) * beats;
weight_taps:
    for (int tap = 0; tap < taps; tap++) {
    weight_frames:
        for (int frame = 0; frame < FRAMES_PER_TAP; frame++) {
#pragma HLS PIPELINE
            frame_t words = read_frame(weights, address + (tap * FRAMES_PER_TAP + frame) * FRAME_BEATS);
            for (int word = 0; word < FRAME_WORDS; word++) {
#pragma HLS UNROLL
                if (frame * FRAME_WORDS + word < WEIGHT_WORDS)
                    tile[frame * FRAME_WORDS + word][tap] = frame_word(words, word);
            }
        }
    }
}

// Constants of a tile: per channel a record of two words, requantization and the identity's channel plus 1.
inline void load_constants(const constant_t *constants, const Layer &layer, int first, int count, constant_tile_t tile,
                           int identity[TM]) {
tile_constants:
    for (int filter = 0; filter < count; filter++) {
#pragma HLS PIPELINE II=2
        tile[filter] = constants[layer.constants + 2 * (first + filter)];
        identity[filter] = int(constants[layer.constants + 2 * (first + filter) + 1]) - 1;
    }
}

// The input and, in an output tile's last step, what its requantization needs.
inline void load_maps(bool enabled, const beat_t *maps, const constant_t *constants, const Layer &layer,
                      const Step &step, input_tile_t input, constant_tile_t constant, output_tile_t identity) {
#pragma HLS INLINE off
    if (!enabled) return;
    load_input(maps, layer, step, input);
    if (is_last(step, layer)) {
        int channels[TM];
        Region region = region_of(step, layer);
        load_constants(constants, layer, step.filter_tile * TM, region.beats * TN, constant, channels);
        if (layer.residual_beats > 0) load_identity(maps, residual_view(layer), region, channels, identity);
    }
}

// Compute ------------------------------------------------------------------------------------------------------------

inline void accumulate(const Layer &layer, const Step &step, const input_tile_t input, const weight_tile_t weight,
                       accumulators_t sums) {
#pragma HLS DEPENDENCE variable=sums inter RAW distance=4 true
    Region region = region_of(step, layer);
    int input_columns = (region.columns - 1) * layer.stride_columns + layer.kernel_columns;
    int row_pairs = (region.columns + 1) / 2;
    int pairs = region.rows * row_pairs;
    int positions = pairs < ACCUMULATION_LATENCY ? ACCUMULATION_LATENCY : pairs;
kernel_rows:
    for (int kernel_row = 0; kernel_row < layer.kernel_rows; kernel_row++) {
    kernel_columns:
        for (int kernel_column = 0; kernel_column < layer.kernel_columns; kernel_column++) {
            int row = 0, pair = 0;
        pixel_pairs:
            for (int position = 0; position < positions; position++) {
#pragma HLS PIPELINE II=1
                if (position < pairs) {
                    int tap = kernel_row * layer.kernel_columns + kernel_column;
                    int left = (row * layer.stride_rows + kernel_row) * input_columns +
                               2 * pair * layer.stride_columns + kernel_column;
                    bool both = 2 * pair + 1 < region.columns;
                    word_t pixel0 = input[left];
                    word_t pixel1 = both ? input[left + layer.stride_columns] : word_t(0);
                    weight_word_t words[WEIGHT_WORDS];
#pragma HLS ARRAY_PARTITION variable=words complete
                    for (int word = 0; word < WEIGHT_WORDS; word++) {
#pragma HLS UNROLL
                        words[word] = weight[word][tap];
                    }
                    partial_t products[TM][2];
#pragma HLS ARRAY_PARTITION variable=products complete dim=0
                    dsp_engine(words, pixel0, pixel1, products);
                    lut_engine(words, pixel0, pixel1, products);
                    bool first = tap == 0 && step.channel_tile == 0;
                    for (int filter = 0; filter < TM; filter++) {
#pragma HLS UNROLL
                        for (int pixel = 0; pixel < 2; pixel++) {
#pragma HLS UNROLL
                            accumulator_t before = sums[filter][pixel][position];
                            accumulator_t shifted = before << DIGIT_BITS;   // Horner: on to the next digit
                            accumulator_t base = !first ? before : step.digit == 0 ? accumulator_t(0) : shifted;
                            sums[filter][pixel][position] = base + products[filter][pixel];
                        }
                    }
                    if (++pair == row_pairs) {
                        pair = 0;
                        row++;
                    }
                }
            }
        }
    }
}

// TN requantizers: a beat of a pixel a cycle.
inline void finish(const Layer &layer, const Step &step, const accumulators_t sums, const constant_tile_t constant,
                   const output_tile_t identity, output_tile_t output) {
    Region region = region_of(step, layer);
    int row_pairs = (region.columns + 1) / 2;
finish_rows:
    for (int row = 0; row < region.rows; row++) {
    finish_columns:
        for (int column = 0; column < region.columns; column++) {
        finish_beats:
            for (int beat = 0; beat < region.beats; beat++) {
#pragma HLS PIPELINE II=1
                int place = row * region.columns + column;
                codes_t codes = 0;
                for (int slot = 0; slot < TN; slot++) {
#pragma HLS UNROLL
                    int filter = beat * TN + slot;
                    code_t other = layer.residual_beats > 0 ? code_of(identity[beat][place], slot) : code_t(0);
                    codes.range(8 * slot + 7, 8 * slot) =
                        requantize(sums[filter][column % 2][row * row_pairs + column / 2], constant[filter],
                                   residual_term(other, layer.residual_multiplier), layer.shift, layer.maximum);
                }
                output[beat][place] = codes;
            }
        }
    }
}

inline void compute(bool enabled, const Layer &layer, const Step &step, const input_tile_t input,
                    const weight_tile_t weight, const constant_tile_t constant, const output_tile_t identity,
                    accumulators_t sums, output_tile_t output) {
#pragma HLS INLINE off
    if (!enabled) return;
    accumulate(layer, step, input, weight, sums);
    if (is_last(step, layer)) finish(layer, step, sums, constant, identity, output);
}

// Store --------------------------------------------------------------------------------------------------------------

inline void store_region(beat_t *maps, const Layer &layer, const Region &region, const output_tile_t output) {
#pragma HLS INLINE
    MapView view = output_view(layer);
store_digits:
    for (int digit = 0; digit < view.digits; digit++) {
    store_beats:
        for (int beat = 0; beat < region.beats; beat++) {
        store_rows:
            for (int row = 0; row < region.rows; row++) {
            store_columns:
                for (int column = 0; column < region.columns; column++) {
#pragma HLS PIPELINE II=1
                    store_codes(maps, view, digit, region.first_beat + beat, region.row + row, region.column + column,
                                output[beat][row * region.columns + column]);
                }
            }
        }
    }
}

inline void store(bool enabled, beat_t *maps, const Layer &layer, const Step &step, const output_tile_t output) {
#pragma HLS INLINE off
    if (enabled && is_last(step, layer)) store_region(maps, layer, region_of(step, layer), output);
}

// Three steps at once, loaded by two functions: each function has its own ports and its own half of the buffers.
inline void stage(bool loads, bool computes, bool stores, Step loaded, Step computed, Step stored, const Layer &layer,
                  const beat_t *maps_in, beat_t *maps_out, const beat_t *weights, const constant_t *constants,
                  input_tile_t load_input_tile, weight_tile_t load_weight_tile, constant_tile_t load_constant_tile,
                  output_tile_t load_identity_tile, const input_tile_t input, const weight_tile_t weight,
                  const constant_tile_t constant, const output_tile_t identity, accumulators_t sums,
                  output_tile_t output, const output_tile_t finished) {
#pragma HLS INLINE off
#pragma HLS DATAFLOW
    load_maps(loads, maps_in, constants, layer, loaded, load_input_tile, load_constant_tile, load_identity_tile);
    load_weights(loads, weights, layer, loaded, load_weight_tile);
    compute(computes, layer, computed, input, weight, constant, identity, sums, output);
    store(stores, maps_out, layer, stored, finished);
}

inline void convolution(const beat_t *maps_in, beat_t *maps_out, const beat_t *weights, const constant_t *constants,
                        const Layer &layer) {
#pragma HLS INLINE off
    static input_tile_t input_a, input_b;
    static weight_tile_t weight_a, weight_b;
    static constant_tile_t constant_a, constant_b;
    static output_tile_t identity_a, identity_b, output_a, output_b;
    static accumulators_t sums;
#pragma HLS ARRAY_PARTITION variable=weight_a complete dim=1
#pragma HLS ARRAY_PARTITION variable=weight_b complete dim=1
#pragma HLS ARRAY_PARTITION variable=constant_a complete
#pragma HLS ARRAY_PARTITION variable=constant_b complete
#pragma HLS ARRAY_PARTITION variable=identity_a complete dim=1
#pragma HLS ARRAY_PARTITION variable=identity_b complete dim=1
#pragma HLS ARRAY_PARTITION variable=output_a complete dim=1
#pragma HLS ARRAY_PARTITION variable=output_b complete dim=1
#pragma HLS ARRAY_PARTITION variable=sums complete dim=1
#pragma HLS ARRAY_PARTITION variable=sums complete dim=2
    int count = step_count(layer);
    Step loaded = {0, 0, 0, 0, 0}, computed = loaded, stored = loaded;
convolution_steps:
    for (int index = 0; index < count + 2; index++) {
        bool loads = index < count, computes = index >= 1 && index <= count, stores = index >= 2;
        if (index % 2 == 0)
            stage(loads, computes, stores, loaded, computed, stored, layer, maps_in, maps_out, weights, constants,
                  input_a, weight_a, constant_a, identity_a, input_b, weight_b, constant_b, identity_b, sums, output_b,
                  output_a);
        else
            stage(loads, computes, stores, loaded, computed, stored, layer, maps_in, maps_out, weights, constants,
                  input_b, weight_b, constant_b, identity_b, input_a, weight_a, constant_a, identity_a, sums, output_a,
                  output_b);
        stored = computed;
        computed = loaded;
        advance(loaded, layer);
    }
}

}  // namespace intramix

#endif
