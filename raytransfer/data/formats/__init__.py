"""Files of images and volumes, and what their values mean."""
