"""The plots of the page, one file each: what is drawn, and its title, caption and alt text."""
