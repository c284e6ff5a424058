"""What on this machine stands in the way of watching a camera."""
