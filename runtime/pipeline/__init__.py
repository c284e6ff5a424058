"""From the poses of a frame to scores and alarms."""
