"""From a picture to the poses of people with ids.

- `people`: the people of each frame (`open_people`): pose estimation, then tracking; start here.
- `estimators`: what finds skeletons: MediaPipe, or a plug-in of another package (docs/pose-estimators.md).
- `mediapipe`: MediaPipe's estimator.
- `person_crops`: finds several small people one by one, with `foreground` (what moves) and `similarity` (of skeletons).
- `tracker`: ids that stay with people from frame to frame.
"""
