"""A classification target with nothing to download: in which plane a slice of the MNI152 brain lies.

The slices are those of `mni152`, and so is their split: along each axis training and test slices come from
separate blocks with 5 mm between. The label is the axis that a slice is cut across.

It is an easy task, made to show that everything works: it is one brain, and the planes differ in outline and
symmetry. At the default settings (115 training and 50 test slices) a linear probe of an untrained encoder
reaches an accuracy of 0.64 to 0.94, 0.80 on average over unet-micro, resnet-micro and swin-micro with three
seeds each; the largest class has 0.40.
"""

import numpy as np

from raytransfer.data.arrays import ClassificationTarget, LabelledImages
from raytransfer.data.settings import TargetSettings
from raytransfer.data.targets.mni152 import slices

CLASS_NAMES = ("sagittal", "coronal", "axial")
"""By the axis that is cut across: left to right, back to front, foot to head."""


def load_planes(config: TargetSettings) -> ClassificationTarget:
    """Slice the template along all three axes; the label is the axis.

    Returns:
        Images in [0, 1] (the template's own scale: 1 is its largest intensity) and labels 0, 1, 2.
    """
    found = list(slices(config))

    def split(name: str) -> LabelledImages:
        chosen = [each for each in found if each.split == name]
        return LabelledImages(
            images=np.stack([each.image for each in chosen])[..., None],
            labels=np.array([each.axis for each in chosen], np.int64),
        )

    return ClassificationTarget(
        name="mni152-planes",
        class_names=CLASS_NAMES,
        train=split("train"),
        test=split("test"),
        image_size=config.image_size,
    )
