"""Images in: source data to pretrain on, target data to segment, augmentation."""
