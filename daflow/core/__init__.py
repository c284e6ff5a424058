"""What a device and a trainer share: data, scoring, alarms, engines and bundles. Needs no torch."""
