"""Vivado HLS reference kernels: the C++, the generator of projects and vectors, the performance model of FILM-QNN."""
