"""The confusion matrix as a picture."""

import numpy as np

from and_tf.report.sections.confusion import confusion_plot, most_confused


def test_many_classes_are_not_named_in_the_picture():
    names = [f"class {i}" for i in range(31)]
    many, few = (confusion_plot(np.eye(n, dtype=int), names[:n], "Caption") for n in (31, 30))
    assert ">class 0<" not in many.svg and "too many classes to name them" in many.caption
    assert ">class 29<" in few.svg and few.caption == "Caption."


def test_the_most_frequent_confusions_leave_out_what_is_correct():
    matrix = np.array([[9, 2, 0], [0, 5, 3], [0, 0, 7]])
    assert most_confused(matrix, ["a", "b", "c"]) == [("b", "c", 3), ("a", "b", 2)]
