// What depthwise convolution and pooling share: tiles of one beat of channels, loaded with whole codes.
#ifndef INTRAMIX_WINDOWS_H
#define INTRAMIX_WINDOWS_H

#include "convolution.h"

namespace intramix {

typedef codes_t window_tile_t[INPUT_DEPTH];
typedef codes_t beat_tile_t[OUTPUT_DEPTH];

inline Region beat_region(const Layer &layer, int beat, int row, int column) {
#pragma HLS INLINE
    Region region;
    region.first_beat = beat;
    region.beats = 1;
    region.row = row;
    region.rows = least(layer.tile_rows, layer.output_rows - row);
    region.column = column;
    region.columns = least(layer.tile_columns, layer.output_columns - column);
    return region;
}

inline int window_columns(const Layer &layer, const Region &region) {
#pragma HLS INLINE
    return (region.columns - 1) * layer.stride_columns + layer.kernel_columns;
}

// The part of input beat `beat` that the region's windows cover; 0 outside the map.
inline void load_window(const beat_t *maps, const Layer &layer, int beat, const Region &region, window_tile_t tile) {
#pragma HLS INLINE off
    int rows = (region.rows - 1) * layer.stride_rows + layer.kernel_rows;
    int columns = window_columns(layer, region);
window_rows:
    for (int row = 0; row < rows; row++) {
    window_columns:
        for (int column = 0; column < columns; column++) {
#pragma HLS PIPELINE
            tile[row * columns + column] =
                read_codes(maps, input_view(layer), beat, region.row * layer.stride_rows - layer.pad_top + row,
                           region.column * layer.stride_columns - layer.pad_left + column);
        }
    }
}

inline void store_beat(beat_t *maps, const Layer &layer, const Region &region, const beat_tile_t tile) {
#pragma HLS INLINE off
    MapView view = output_view(layer);
    for (int digit = 0; digit < view.digits; digit++)
        for (int row = 0; row < region.rows; row++)
            for (int column = 0; column < region.columns; column++) {
#pragma HLS PIPELINE II=1
                store_codes(maps, view, digit, region.first_beat, region.row + row, region.column + column,
                            tile[row * region.columns + column]);
            }
}

}  // namespace intramix

#endif
