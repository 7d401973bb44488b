"""What is the thesis's own: its published tables and weights, its findings, what it printed."""
