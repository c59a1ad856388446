// What lies behind the wide AXI ports.
//
// Map: [digit][beat][row][column], a beat holds TN channels of one pixel in slots of SLOT_BITS, least significant
// first. A map wider than a slot has two 4-bit digits, upper first. A row is contiguous, so that a tile's row is one
// burst. Weights of a tap: WEIGHT_WORDS words, dense over frames of FRAME_BEATS beats that hold FRAME_WORDS words.
#ifndef INTRAMIX_PORTS_H
#define INTRAMIX_PORTS_H

#include "types.h"

namespace intramix {

struct MapView {
    int address;   // in beats
    int beats, rows, columns;
    int digits;    // 1 or 2
};

inline int beat_address(const MapView &map, int digit, int beat, int row, int column) {
#pragma HLS INLINE
    return map.address + ((digit * map.beats + beat) * map.rows + row) * map.columns + column;
}

// Digit `digit` of a pixel; 0 outside the map.
inline word_t read_word(const beat_t *maps, const MapView &map, int digit, int beat, int row, int column) {
#pragma HLS INLINE
    bool inside = beat < map.beats && row >= 0 && row < map.rows && column >= 0 && column < map.columns;
    return inside ? word_t(maps[beat_address(map, digit, beat, row, column)]) : word_t(0);
}

// TN whole codes of a pixel; 0 outside the map.
inline codes_t read_codes(const beat_t *maps, const MapView &map, int beat, int row, int column) {
#pragma HLS INLINE
    word_t upper = map.digits == 2 ? read_word(maps, map, 0, beat, row, column) : word_t(0);
    word_t lower = read_word(maps, map, map.digits - 1, beat, row, column);
    codes_t codes = 0;
    for (int channel = 0; channel < TN; channel++) {
#pragma HLS UNROLL
        code_t code = (code_t(slot_of(upper, channel)) << DIGIT_BITS) | code_t(slot_of(lower, channel));
        codes.range(8 * channel + 7, 8 * channel) = code;
    }
    return codes;
}

// Stores a rectangle of TM_BEATS · TN channels, each digit in its plane.
inline void store_codes(beat_t *maps, const MapView &map, int digit, int beat, int row, int column, codes_t codes) {
#pragma HLS INLINE
    beat_t packed = 0;
    for (int channel = 0; channel < TN; channel++) {
#pragma HLS UNROLL
        code_t code = code_of(codes, channel);
        code_t part = map.digits == 1 ? code : digit == 0 ? code_t(code >> DIGIT_BITS) : code_t(code & DIGIT_MASK);
        packed.range(SLOT_BITS * channel + SLOT_BITS - 1, SLOT_BITS * channel) = slot_t(part);
    }
    maps[beat_address(map, digit, beat, row, column)] = packed;
}

typedef ap_uint<FRAME_BEATS * PORT_BITS> frame_t;

inline frame_t read_frame(const beat_t *weights, int address) {
#pragma HLS INLINE
    frame_t frame = 0;
    for (int beat = 0; beat < FRAME_BEATS; beat++)
        frame.range(PORT_BITS * beat + PORT_BITS - 1, PORT_BITS * beat) = weights[address + beat];
    return frame;
}

inline weight_word_t frame_word(const frame_t &frame, int word) {
#pragma HLS INLINE
    return frame.range(WEIGHT_WORD_BITS * word + WEIGHT_WORD_BITS - 1, WEIGHT_WORD_BITS * word);
}

}  // namespace intramix

#endif
