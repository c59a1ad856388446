// Max pool: the largest code of every window, TN channels at a time. Codes outside the map are 0, which none is below.
#ifndef INTRAMIX_POOLING_H
#define INTRAMIX_POOLING_H

#include "windows.h"

namespace intramix {

inline void compute_maximum(const Layer &layer, const Region &region, const window_tile_t window, beat_tile_t output) {
#pragma HLS INLINE off
    int columns = window_columns(layer, region);
maximum_rows:
    for (int row = 0; row < region.rows; row++) {
    maximum_columns:
        for (int column = 0; column < region.columns; column++) {
            codes_t largest = 0;
        maximum_window:
            for (int kernel_row = 0; kernel_row < layer.kernel_rows; kernel_row++) {
                for (int kernel_column = 0; kernel_column < layer.kernel_columns; kernel_column++) {
#pragma HLS PIPELINE II=1
                    codes_t codes = window[(row * layer.stride_rows + kernel_row) * columns +
                                           column * layer.stride_columns + kernel_column];
                    for (int slot = 0; slot < TN; slot++) {
#pragma HLS UNROLL
                        if (code_of(codes, slot) > code_of(largest, slot))
                            largest.range(8 * slot + 7, 8 * slot) = code_of(codes, slot);
                    }
                }
            }
            output[row * region.columns + column] = largest;
        }
    }
}

inline void maximum_tile(const beat_t *maps_in, beat_t *maps_out, const Layer &layer, const Region &region) {
#pragma HLS INLINE off
#pragma HLS DATAFLOW
    window_tile_t window;
    beat_tile_t output;
    load_window(maps_in, layer, region.first_beat, region, window);
    compute_maximum(layer, region, window, output);
    store_beat(maps_out, layer, region, output);
}

inline void maximum_pool(const beat_t *maps_in, beat_t *maps_out, const Layer &layer) {
#pragma HLS INLINE off
    for (int beat = 0; beat < layer.output_beats; beat++)
        for (int row = 0; row < layer.output_rows; row += layer.tile_rows)
            for (int column = 0; column < layer.output_columns; column += layer.tile_columns)
                maximum_tile(maps_in, maps_out, layer, beat_region(layer, beat, row, column));
}

}  // namespace intramix

#endif
