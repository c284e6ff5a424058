"""A kinematic generator of people seen by a camera: bodies, activities, cameras, and the errors of pose estimators.

`daflow.core.data.synthetic` makes the walkers, falls, runs and fights of the demo and the tests from it, and
`daflow.core.data.generator.everyday` the everyday life that the model of the package is trained on.
"""
