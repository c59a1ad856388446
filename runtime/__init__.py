"""Host driver and Devices."""
