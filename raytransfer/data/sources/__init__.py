"""What encoders learn from."""
