"""Datasets: images and what is known of them, the part of them that is used, and the way into a network.

`dataset`, `opening` and `subset` import neither onnx nor cv2; `decoding_pipeline` does.
"""
