"""DA-Flow at the edge: the model, and everything that trains and judges it.

`skeleton`, `tracks`, `windows`, `scoring`, `bundle` and `onnx_scorer` need no torch and run on a device;
`model`, `training` and `evaluation` need the `train` extra.
"""

__version__ = "0.1.0"
