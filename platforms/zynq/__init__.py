"""The Zynq processing systems as Amaranth components, and the top level that joins one to the accelerator."""
