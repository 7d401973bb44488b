"""Ways of evaluating an encoder on a target task."""
