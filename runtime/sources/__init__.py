"""Where frames come from: files, cameras, recorded tracks and generated people, each opened by `uri.open_source`."""
