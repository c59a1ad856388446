// Runs layers `first` … `first + count − 1` of a table, after checking all of them.
//
// Ports: maps_in and maps_out are the same memory (two masters, so that loads and stores overlap); sizes in beats, of
// constants in words of 64 bits, of the table in words of 32 bits.
// Returns Status | layer << 8; no layer has run unless it is STATUS_OK.
#ifndef INTRAMIX_TOP_H
#define INTRAMIX_TOP_H

#include "intramix/types.h"

int top(const intramix::beat_t *maps_in, intramix::beat_t *maps_out, const intramix::beat_t *weights,
        const intramix::constant_t *constants, const ap_int<32> *table, int maps_size, int weights_size,
        int constants_size, int table_size, int first, int count);

#endif
