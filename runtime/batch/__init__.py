"""Poses of many recorded videos, found in parallel: pose tracks to train, calibrate and evaluate with.

- `find_poses`: finds the poses of a video or a part of it; start here. `pose_task`: such a piece of work.
- `clip_names`: the videos and folders of images in a folder, and the names of their clips. `recordings`: their rates
  and lengths.
- `made_by`: what each track file was made from, so that only the same work is not done again.
- `video_tracks`: the tracks of labelled videos, for `daflow evaluate --videos`.
"""
