"""int8: the ranges of a network's tensors, found on images, kept in a portable table, put into a graph or a cache.

What a tensor's range is good for: int8 is symmetric here, `scale = amax / 127`, as TensorRT has it.
"""
