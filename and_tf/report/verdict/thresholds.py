"""The values at which the verdict changes its words, and where each comes from."""

# Standard errors that a difference must exceed before a word is made of it: the usual 95 %.
SURE = 2

# Percent of the neighbours that a round must find again to count as settled. Chosen, not measured.
SETTLED = 20

# Whether round 0 was still improving is looked at from this fraction of it on, by at least so many
# evaluations, else by at least so many epochs at one learning rate. Chosen, not measured.
LAST_PART = 2 / 3
LEAST_POINTS = 3
LEAST_EPOCHS = 5

# Percent by which effective rank and loss must change to count as improving. Chosen, not measured.
RANK_RISE = 5
LOSS_FALL = 1
