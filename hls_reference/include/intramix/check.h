// Checks of the layer table, before anything is computed: a table that is wrong gives a status, not wrong numbers.
#ifndef INTRAMIX_CHECK_H
#define INTRAMIX_CHECK_H

#include "views.h"
#include "types.h"

namespace intramix {

// What the host granted behind each port, in beats (constants: words of 64 bits).
struct Sizes {
    int maps, weights, constants;
};

inline bool in_range(long long address, long long length, long long size) {
    return address >= 0 && length >= 0 && address + length <= size;
}

inline long long map_length(const MapView &view) {
    return (long long)view.digits * view.beats * view.rows * view.columns;
}

inline bool is_map(const MapView &view) {
    const int most = 1 << 15;
    return view.beats >= 1 && view.beats < most && view.rows >= 1 && view.rows < most && view.columns >= 1 &&
           view.columns < most && (view.digits == 1 || view.digits == 2);
}

// Byte addresses of the table must be those of whole beats.
inline bool is_aligned(const RawLayer &raw) {
    const int beat = PORT_BITS / 8;
    return raw.input % beat == 0 && raw.output % beat == 0 && raw.residual % beat == 0 && raw.weights % beat == 0 &&
           raw.constants % 16 == 0;
}

inline bool is_shape(const Layer &layer) {
    const int most = 1 << 12;
    bool windows = layer.kernel_rows >= 1 && layer.kernel_rows < most && layer.kernel_columns >= 1 &&
                   layer.kernel_columns < most && layer.stride_rows >= 1 && layer.stride_rows < most &&
                   layer.stride_columns >= 1 && layer.stride_columns < most && layer.pad_top >= 0 &&
                   layer.pad_top < most && layer.pad_left >= 0 && layer.pad_left < most;
    bool numbers = layer.shift >= 0 && layer.shift <= MAXIMUM_SHIFT && layer.maximum >= 1 && layer.maximum <= 255 &&
                   layer.maximum < 1 << (layer.output_digits == 2 ? 8 : SLOT_BITS) && layer.tile_rows >= 1 &&
                   layer.tile_rows < most && layer.tile_columns >= 1 && layer.tile_columns < most &&
                   layer.residual_beats >= 0;
    if (!is_map(input_view(layer)) || !is_map(output_view(layer)) || !windows || !numbers) return false;
    if (layer.residual_beats > 0 && !is_map(residual_view(layer))) return false;
    switch (layer.operation) {
    case CONVOLUTION:
        return layer.filter_tiles >= 1 && layer.filter_tiles == (layer.output_beats + TM_BEATS - 1) / TM_BEATS;
    case LINEAR:
        return layer.filter_tiles >= 1 && layer.filter_tiles == (layer.output_beats + TM_BEATS - 1) / TM_BEATS &&
               layer.output_rows == 1 && layer.output_columns == 1 && layer.residual_beats == 0 &&
               layer.kernel_rows <= layer.input_rows && layer.kernel_columns <= layer.input_columns &&
               layer.pad_top == 0 && layer.pad_left == 0;
    case DEPTHWISE:
        return layer.output_beats % layer.input_beats == 0;
    default:   // MAXIMUM_POOL
        return layer.output_beats == layer.input_beats && layer.output_digits == layer.input_digits &&
               layer.residual_beats == 0;
    }
}

inline bool fits_tiles(const Layer &layer) {
    int taps = layer.kernel_rows * layer.kernel_columns;
    if (layer.operation == LINEAR) return (long long)layer.input_beats * taps <= VECTOR_WORDS;
    long long rows = (long long)(layer.tile_rows - 1) * layer.stride_rows + layer.kernel_rows;
    long long columns = (long long)(layer.tile_columns - 1) * layer.stride_columns + layer.kernel_columns;
    long long pairs = (long long)layer.tile_rows * ((layer.tile_columns + 1) / 2);
    if (layer.operation != MAXIMUM_POOL && taps > TAPS) return false;
    return rows * columns <= INPUT_DEPTH && pairs <= OUTPUT_DEPTH / 2;
}

inline bool inside(const Layer &layer, const Sizes &sizes) {
    long long taps = (long long)layer.kernel_rows * layer.kernel_columns;
    long long weights = layer.operation == MAXIMUM_POOL ? 0
                        : layer.operation == DEPTHWISE
                            ? layer.output_beats * taps * DEPTHWISE_BEATS
                            : layer.filter_tiles * layer.input_beats * taps * FRAMES_PER_TAP * FRAME_BEATS;
    long long constants = layer.operation == MAXIMUM_POOL ? 0 : 2LL * layer.output_beats * TN;
    return in_range(layer.input, map_length(input_view(layer)), sizes.maps) &&
           in_range(layer.output, map_length(output_view(layer)), sizes.maps) &&
           (layer.residual_beats == 0 || in_range(layer.residual, map_length(residual_view(layer)), sizes.maps)) &&
           in_range(layer.weights, weights, sizes.weights) && in_range(layer.constants, constants, sizes.constants);
}

inline Status check_layer(const RawLayer &raw, const Sizes &sizes) {
    if (raw.operation < CONVOLUTION || raw.operation > MAXIMUM_POOL) return STATUS_UNKNOWN_OPERATOR;
    if (!is_aligned(raw)) return STATUS_MISALIGNED;
    Layer layer = in_beats(raw);
    if (!is_shape(layer)) return STATUS_BAD_FIELD;
    if (!fits_tiles(layer)) return STATUS_TILE_TOO_LARGE;
    if (!inside(layer, sizes)) return STATUS_OUT_OF_RANGE;
    return STATUS_OK;
}

}  // namespace intramix

#endif
