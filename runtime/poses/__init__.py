"""From a picture to the poses of people with ids.

- `people`: the people of each frame (`open_people`): pose estimation, then tracking; start here.
- `estimators`: what finds skeletons: a pose bundle, MediaPipe, or a plug-in (docs/pose-estimators.md).
- `follower`: finds people with the networks of a pose bundle, and follows them by their own joints. `search` says when
  and where the detector runs, with `motion` (what has changed) and `tile_choice` (how finely to divide the picture).
- `opened_networks`, `pose_networks`: the networks at work, with `regions` (what is cut out) and `boxes` (overlaps).
- `mediapipe`: MediaPipe's estimator.
- `whole_pictures`: the network of a pose bundle that finds boxes and joints at once.
- `tracker`: ids that stay with people from frame to frame.
"""
