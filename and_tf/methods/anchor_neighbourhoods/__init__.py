"""Anchor Neighbourhood Discovery: model, loss, curriculum, discovery and selection of anchors.

Reference: Huang et al., "Unsupervised Deep Learning by Neighbourhood Discovery", ICML 2019.
"""
