// The residual add: the identity's tile is loaded in the order of the output's filters, then joins in the requantizer.
//
// Weights were reordered so that a tile begins with its 8-bit filters; an identity of another layer may have another
// order. Each output channel names the identity's channel that it meets (FILM-QNN: "applied when the identity is
// loaded"). Where a beat of the output meets a beat of the identity slot by slot, as it does when both layers'
// filters were assigned jointly, one read serves TN channels; elsewhere each channel is read on its own.
#ifndef INTRAMIX_RESIDUAL_H
#define INTRAMIX_RESIDUAL_H

#include "ports.h"
#include "types.h"

namespace intramix {

typedef ap_int<MULTIPLIER_BITS + 9> residual_t;

// A rectangle of an output map: TM channels or fewer beats of it.
struct Region {
    int first_beat, beats;
    int row, rows;
    int column, columns;
};

inline residual_t residual_term(code_t residual, multiplier_t multiplier) {
#pragma HLS INLINE
    residual_t result = residual * multiplier;
    INTRAMIX_IN_DSP(result)
    return result;
}

// Reads the identity of `region` into tile[beat][row · columns + column]. `identity` holds, for the region's channels
// from its first, the identity's channel or −1 for a lane that idles.
inline void load_identity(const beat_t *maps, const MapView &source, const Region &region, const int identity[TM],
                          output_tile_t tile) {
#pragma HLS INLINE
identity_beats:
    for (int beat = 0; beat < region.beats; beat++) {
        int source_beat = -1;
        bool aligned = true;
        for (int slot = 0; slot < TN; slot++) {
            int channel = identity[beat * TN + slot];
            if (channel < 0) continue;
            if (channel % TN != slot || (source_beat >= 0 && source_beat != channel / TN)) aligned = false;
            source_beat = channel / TN;
        }
    identity_rows:
        for (int row = 0; row < region.rows; row++) {
        identity_columns:
            for (int column = 0; column < region.columns; column++) {
                codes_t gathered = 0;
                codes_t whole = 0;
                if (aligned && source_beat >= 0 && source_beat < source.beats)
                    whole = read_codes(maps, source, source_beat, region.row + row, region.column + column);
            identity_slots:
                for (int slot = 0; slot < TN; slot++) {
                    int channel = identity[beat * TN + slot];
                    if (channel < 0 || channel / TN >= source.beats) continue;
                    codes_t codes = whole;
                    if (!aligned)
                        codes = read_codes(maps, source, channel / TN, region.row + row, region.column + column);
                    gathered.range(8 * slot + 7, 8 * slot) = code_of(codes, channel % TN);
                }
                tile[beat][row * region.columns + column] = gathered;
            }
        }
    }
}

}  // namespace intramix

#endif
