"""Tables and figures from recorded curves."""
