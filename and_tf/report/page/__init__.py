"""The frame of every page: template, style and script, and how they become one file."""
