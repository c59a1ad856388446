"""Reconstruction: a calibrated network brought near to the float model again, block by block, without labels."""
