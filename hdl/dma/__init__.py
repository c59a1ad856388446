"""AXI4 masters and the engines that move data: weights, maps, store."""
