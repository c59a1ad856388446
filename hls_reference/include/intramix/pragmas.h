// Directives whose spelling differs between Vivado HLS (2020.1 and before) and Vitis HLS, or that need a constant's
// value.
#ifndef INTRAMIX_PRAGMAS_H
#define INTRAMIX_PRAGMAS_H

#define INTRAMIX_PRAGMA_TEXT(text) _Pragma(#text)
#define INTRAMIX_PRAGMA(text) INTRAMIX_PRAGMA_TEXT(text)

// The product assigned to `result` is made by a DSP slice, or by LUTs.
#ifdef __VITIS_HLS__
#define INTRAMIX_IN_DSP(result) INTRAMIX_PRAGMA(HLS BIND_OP variable=result op=mul impl=dsp)
#define INTRAMIX_IN_FABRIC(result) INTRAMIX_PRAGMA(HLS BIND_OP variable=result op=mul impl=fabric)
#else
#define INTRAMIX_IN_DSP(result) INTRAMIX_PRAGMA(HLS RESOURCE variable=result core=DSP48)
#define INTRAMIX_IN_FABRIC(result) INTRAMIX_PRAGMA(HLS RESOURCE variable=result core=Mul_LUT)
#endif

// An AXI4 master port; `beats` is the size that co-simulation gives it.
#define INTRAMIX_MASTER(name, beats) INTRAMIX_PRAGMA(HLS INTERFACE m_axi port=name offset=slave bundle=name depth=beats)

#endif
