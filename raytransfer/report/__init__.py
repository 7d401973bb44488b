"""Tables and figures from the ledger."""

from raytransfer.report.figures import draw_answers
from raytransfer.report.summary import Answer, answers, summary

__all__ = ["Answer", "answers", "draw_answers", "summary"]
