"""The service: cameras, scoring, supervision, health and logs."""
