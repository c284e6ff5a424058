"""The flow, its skeleton graph, its checkpoints, and the import of STG-NF checkpoints."""
