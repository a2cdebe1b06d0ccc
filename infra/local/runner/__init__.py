"""``petrosa run``: decides what a run consists of, keeps its parts running, and shows them."""
