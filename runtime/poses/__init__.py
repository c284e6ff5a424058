"""From a picture to the poses of people with ids."""
