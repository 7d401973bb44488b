"""The whole chain, callable from Python: pretrain, score, evaluate, stop, search, replay, report."""
