"""Published weights: fetched once, checked, pinned by their hash and kept in the cache folder.

`published` and `folder` import neither onnx nor httpx2, so the supervisor may use them.
"""
