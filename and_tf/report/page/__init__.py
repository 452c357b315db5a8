"""The frame of the page: template, style, script, and how they become one file."""
