"""From recordings of normal behaviour to the alarm threshold."""
