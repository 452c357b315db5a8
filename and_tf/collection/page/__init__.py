"""The page of a folder: what was found in its photos, and an explorer of all of them.

A section of the page is one file in `sections` and its entry in the list there. Template, style,
script and the explorer are those of `and_tf.report.page`.
"""
