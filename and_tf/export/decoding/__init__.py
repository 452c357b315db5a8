"""Image files decoded by TensorFlow's operations alone, for the SavedModel, as Pillow does it.

A graph knows no exceptions, but a data set inside of one can leave out the elements that raise one:
so the files of a batch are decoded, and those that cannot be are told by a mask. What would give
other pixels than `data.decode.load_square` is refused by an assertion and ends up in that mask.
"""
