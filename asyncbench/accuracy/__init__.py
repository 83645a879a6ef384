"""Accuracy: labelled data sets, metrics, calibration for int8."""
