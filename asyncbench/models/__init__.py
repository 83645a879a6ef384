"""The networks: what is known of them, their graphs, their input and what their output means.

`catalog`, `recipe` and `image_folder` import neither onnx nor cv2, so the supervisor may use them.
"""
