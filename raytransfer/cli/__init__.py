"""The command line of the experiments: options, and the checks that run before any work starts."""
