"""How well scores separate abnormal from normal frames, and what an alarm would have done."""
