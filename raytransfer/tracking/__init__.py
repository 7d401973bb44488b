"""MLflow: the runs that people compare."""
