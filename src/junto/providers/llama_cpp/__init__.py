"""llama.cpp as a backend that Junto runs itself: one child process per GGUF file, started, watched and stopped here."""
