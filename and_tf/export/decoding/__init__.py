"""Decodes image files as Pillow does, only with TensorFlow's operations, for the SavedModel.

A graph cannot handle exceptions, but a data set inside it can skip the elements that raise one. So
the files of a batch are decoded, and a mask marks those that cannot be. An image that would not get
the pixels of `data.decode.load_square` is refused by an assertion, and so is in that mask, too.
"""
