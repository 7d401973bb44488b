"""Tables and figures from recorded curves."""

from raytransfer.report.ablation import ablation_text, choice_rows, parameter_rows
from raytransfer.report.baselines import baselines_text, rule_rows
from raytransfer.report.figures import draw_answers
from raytransfer.report.findings import Finding, finding_rows, findings, findings_text
from raytransfer.report.frontier import draw_frontier
from raytransfer.report.replay import (
    JudgeFactory,
    Rating,
    Recordings,
    fixed_budgets,
    gain_over,
    rate,
    rating_table,
    recordings,
    write_ratings,
)
from raytransfer.report.stopping import stopping_table
from raytransfer.report.summary import Answer, answers, summary

__all__ = [
    "Answer",
    "Finding",
    "JudgeFactory",
    "Rating",
    "Recordings",
    "ablation_text",
    "answers",
    "baselines_text",
    "choice_rows",
    "draw_answers",
    "draw_frontier",
    "finding_rows",
    "findings",
    "findings_text",
    "fixed_budgets",
    "gain_over",
    "parameter_rows",
    "rate",
    "rating_table",
    "recordings",
    "rule_rows",
    "stopping_table",
    "summary",
    "write_ratings",
]
