"""Anchor Neighbourhood Discovery: image features without labels, in Keras 3 and TensorFlow."""

import os

# Read by TensorFlow when it is imported. A value that the user has set wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Off by default on AVX2 machines, where it makes the whole training step 1.5 to 2.5 times faster.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
