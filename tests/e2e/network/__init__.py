"""One platform under `exposure: network`, on a host of its own: who may do what there, and what hostile callers get."""
