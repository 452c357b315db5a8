"""Whether the embeddings of a run have collapsed."""

from and_tf.report.verdict.evidence import Evidence

COLLAPSED = "The embeddings have collapsed: images can hardly be told apart. "


def has_collapsed(evidence: Evidence, tone: str) -> bool:
    """Whether nearly all embeddings are equal or lie on a line, and accuracy does not deny it.

    Embeddings that tell classes apart are not all equal, however close they lie. A method that
    learns labels brings each class to a point, so that the embeddings of few classes look the same
    as collapsed ones, and only images that it has not learned can tell.

    Args:
        evidence: of the run.
        tone: of the verdict by accuracy, where there is any.
    """
    spread = evidence.spread
    if evidence.method.fc_holds or evidence.is_of_learned_labels:
        return False
    if not evidence.metric:
        return spread.is_point
    return tone != "good" and (spread.is_flat or spread.is_line)
