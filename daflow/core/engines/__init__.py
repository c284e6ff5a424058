"""TensorRT engines: how one is built, what its file says about it, and where it is stored."""
