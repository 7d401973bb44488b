"""Tables and figures from recorded curves."""

from raytransfer.report.ablation import ablation_text, choice_rows, parameter_rows
from raytransfer.report.baselines import baselines_text, rule_rows
from raytransfer.report.figures import draw_answers
from raytransfer.report.findings import Finding, finding_rows, findings, findings_text
from raytransfer.report.summary import Answer, answers, summary

__all__ = [
    "Answer",
    "Finding",
    "ablation_text",
    "answers",
    "baselines_text",
    "choice_rows",
    "draw_answers",
    "finding_rows",
    "findings",
    "findings_text",
    "parameter_rows",
    "rule_rows",
    "summary",
]
