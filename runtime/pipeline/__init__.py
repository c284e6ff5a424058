"""From the people of a frame to their scores and the alarm of the camera."""
