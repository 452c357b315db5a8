"""The page of a folder: what was found in its photos, each of them within reach.

A section of the page is one file in `sections` and its entry in the dict there. Template, style,
script and the explorer are those of `and_tf.report.page`.
"""
