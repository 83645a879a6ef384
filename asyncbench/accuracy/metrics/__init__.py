"""Metrics of accuracy: top-1 and top-5, COCO average precision, their intervals, their drop.

No lane and no clock: `bench.accuracy.accuracy_run` gets the answers. Only `coco_truth` reads a file.
"""
