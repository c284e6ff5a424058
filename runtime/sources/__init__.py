"""What daflow-edge reads: cameras, videos, images, recorded tracks and generated people, each as a stream of frames.

- `uri`: the names of all sources, and which module opens each; start here.
- `frames`: what every source yields (`Frame`, `SourceStatus`) and is (`Source`).
- `camera`: reads any camera in a thread, notices that its connection is lost and connects again.
- `network_stream`: RTSP, MJPEG over HTTP and HLS, received and decoded by the program `network_receiver` in a child
  process. `raw_pictures`: what it writes. `named_host`: it asks no other host.
- `gstreamer`: CSI and USB cameras and any GStreamer pipeline, run by the program `pipeline_runner` in a child process.
- `containers`: which protocols, formats and codecs are opened, and how large a picture may be.
- `child_process`: such a process and its pipe. `child_program`: what both programs have in common.
- `timestamps`: the time and number of a camera's frames.
- `frozen_pictures`: notices frozen and black pictures.
- `packets`: the stream of a container that is watched, and decoding past what is damaged. `orientation`: which way up.
- `video_timing`: the rate and the length of a video file, checked against its time stamps.
- `recording`: what the recordings share: `video`, `images`, `recorded_tracks`, `synthetic`.
- `realtime_playback`: plays a recording at its own speed.
- `status`: a source's status for other threads. `redaction`: passwords in the names of sources.
"""
