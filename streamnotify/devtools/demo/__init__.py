"""``streamnotify demo``: :mod:`.show` has its scenes in order, the rest is what they are played with."""
