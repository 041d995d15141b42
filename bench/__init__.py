"""Programs that measure the system and try it on real input; run, never imported by it."""
