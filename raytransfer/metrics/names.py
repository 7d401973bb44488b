"""Names of the metrics of target tasks, in the order in which they are shown."""

SEGMENTATION_METRICS: tuple[str, ...] = (
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
CLASSIFICATION_METRICS: tuple[str, ...] = ("accuracy", "balanced_accuracy", "auroc", "macro_f1")
