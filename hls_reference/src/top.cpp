// The accelerator: one function, AXI4 masters for data, AXI4-Lite for arguments and status.
#include "top.h"

#include "depth.h"
#include "intramix/check.h"
#include "intramix/convolution.h"
#include "intramix/depthwise.h"
#include "intramix/linear.h"
#include "intramix/pooling.h"

using namespace intramix;

static int status_of(Status status, int layer) { return int(status) | layer << 8; }

int top(const beat_t *maps_in, beat_t *maps_out, const beat_t *weights, const constant_t *constants,
        const ap_int<32> *table, int maps_size, int weights_size, int constants_size, int table_size, int first,
        int count) {
INTRAMIX_MASTER(maps_in, MAPS_DEPTH)
INTRAMIX_MASTER(maps_out, MAPS_DEPTH)
INTRAMIX_MASTER(weights, WEIGHTS_DEPTH)
INTRAMIX_MASTER(constants, CONSTANTS_DEPTH)
INTRAMIX_MASTER(table, TABLE_DEPTH)
#pragma HLS INTERFACE s_axilite port=maps_in bundle=control
#pragma HLS INTERFACE s_axilite port=maps_out bundle=control
#pragma HLS INTERFACE s_axilite port=weights bundle=control
#pragma HLS INTERFACE s_axilite port=constants bundle=control
#pragma HLS INTERFACE s_axilite port=table bundle=control
#pragma HLS INTERFACE s_axilite port=maps_size bundle=control
#pragma HLS INTERFACE s_axilite port=weights_size bundle=control
#pragma HLS INTERFACE s_axilite port=constants_size bundle=control
#pragma HLS INTERFACE s_axilite port=table_size bundle=control
#pragma HLS INTERFACE s_axilite port=first bundle=control
#pragma HLS INTERFACE s_axilite port=count bundle=control
#pragma HLS INTERFACE s_axilite port=return bundle=control
    if (table_size < TABLE_HEADER) return status_of(STATUS_BAD_TABLE, 0);
    if (table[0] != TABLE_MAGIC || table[1] != BUILD_SIGNATURE) return status_of(STATUS_BAD_TABLE, 0);
    int layers = table[2];
    if (layers < 1 || layers > (table_size - TABLE_HEADER) / LAYER_WORDS) return status_of(STATUS_BAD_TABLE, 0);
    if (first < 0 || count < 1 || first >= layers || count > layers - first) return status_of(STATUS_BAD_TABLE, 0);
    Sizes sizes = {maps_size, weights_size, constants_size};
check_layers:
    for (int index = first; index < first + count; index++) {
        Status status = check_layer(read_layer(table, index), sizes);
        if (status != STATUS_OK) return status_of(status, index);
    }
run_layers:
    for (int index = first; index < first + count; index++) {
        Layer layer = in_beats(read_layer(table, index));
        switch (layer.operation) {
        case CONVOLUTION: convolution(maps_in, maps_out, weights, constants, layer); break;
        case DEPTHWISE: depthwise(maps_in, maps_out, weights, constants, layer); break;
        case LINEAR: linear(maps_in, maps_out, weights, constants, layer); break;
        default: maximum_pool(maps_in, maps_out, layer);
        }
    }
    return status_of(STATUS_OK, 0);
}
