"""Alarm events: what they say, where they are kept, and how they are delivered."""
