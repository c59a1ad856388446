"""Resource and cycle models, design-space search."""
