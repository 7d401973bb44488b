"""Names of the segmentation metrics, known without what computes them."""

METRICS: tuple[str, ...] = (
    "dice",
    "jaccard",
    "mcc",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "precision",
    "accuracy",
    "auroc",
    "average_precision",
    "hd95",
)
"""The keys of `SegmentationMetrics.compute`, in their order."""
