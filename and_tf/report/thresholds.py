"""The values at which the verdict changes its words, and where each comes from."""

# Standard errors that a difference must exceed before a word is made of it: the usual 95 %.
SURE = 2

# Consistent neighbours in percent, from runs of AND and Instance with the same settings, both on
# ten classes. 5,000 images of CIFAR-10, 18 to 26 %: AND 1.4 points below Instance, mean of three
# seeds (docs/results.md, "Do the neighbours pay?"). 10,000 images of Fashion-MNIST, 16 pixels,
# 5 x 20 epochs, 76 to 87 %: level, one seed.
FEW_CONSISTENT = 30
MANY_CONSISTENT = 75

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
