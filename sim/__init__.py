"""Simulation: DDR model, Verilator build, cocotb testbenches."""
