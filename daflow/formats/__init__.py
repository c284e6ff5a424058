"""Pose recordings of other tools: what form a file has, its poses, and the same poses in the form that is wanted.

- `sources`: the files of each clip; start here. `bounded`: how a file is opened that may be hostile.
- `recognise`: the reader of each form, by what the file holds.
- `alphapose`, `coco`, `mediapipe`, `mmpose`, `ntu`, `openpose`, `tables`, `arrays`, `yolo`, `parquet`: the readers.
- `recording`: what a reader returns. `layouts`: the order of joints in each layout.
- `assemble`: a clip in COCO-17 or OpenPose-18 joints, in pixels, with a number for each person, which `tracking` finds
  where there is none.
- `write`: pose tracks, AlphaPose results or COCO annotations.
"""
