"""The thresholds of the verdict, and where each comes from."""

# Standard errors that a difference must exceed to be mentioned: the usual 95 %.
SURE = 2

# Percentage of neighbours that a round must find again to count as settled. Chosen, not measured.
SETTLED = 20

# Whether round 0 was still improving is judged from this fraction of it on, from at least this many
# evaluations, or from at least this many epochs at one learning rate. Chosen, not measured.
LAST_PART = 2 / 3
LEAST_POINTS = 3
LEAST_EPOCHS = 5

# Percentage by which effective rank and loss must change to count as improving. Also chosen.
RANK_RISE = 5
LOSS_FALL = 1
