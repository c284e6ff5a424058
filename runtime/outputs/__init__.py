"""Files that a run writes: score log, recorded tracks, annotated video."""
