"""Wire formats: pure codecs between bytes and the core, one folder a dialect. No I/O, no clock, no routing."""
