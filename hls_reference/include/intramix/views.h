// The maps of a layer, as its table entry describes them.
#ifndef INTRAMIX_VIEWS_H
#define INTRAMIX_VIEWS_H

#include "layer_table.h"
#include "ports.h"

namespace intramix {

inline MapView input_view(const Layer &layer) {
#pragma HLS INLINE
    MapView view = {layer.input, layer.input_beats, layer.input_rows, layer.input_columns, layer.input_digits};
    return view;
}

inline MapView output_view(const Layer &layer) {
#pragma HLS INLINE
    MapView view = {layer.output, layer.output_beats, layer.output_rows, layer.output_columns, layer.output_digits};
    return view;
}

inline MapView residual_view(const Layer &layer) {
#pragma HLS INLINE
    MapView view = {layer.residual, layer.residual_beats, layer.output_rows, layer.output_columns,
                    layer.residual_digits};
    return view;
}

}  // namespace intramix

#endif
