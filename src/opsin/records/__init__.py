"""The frozen records that Opsin's verbs return. NumPy only: a record can be read where PyTorch is not installed."""

from opsin.records.activity import ReceptiveField, TopImages
from opsin.records.common import Interval, Unreadable
from opsin.records.evidence import (
    BETTER_THAN_RANDOM,
    FAILS_SANITY,
    NO_BETTER_THAN_RANDOM,
    NOT_CHECKED,
    VERDICTS,
    Control,
    Evidence,
    Measure,
)
from opsin.records.explanation import Agreement, Explanation
from opsin.records.inside import Dream, FeatureMaps, Filters, LayerMaps
from opsin.records.prediction import Prediction
from opsin.records.representation import FeatureSpace, LayerProbe, LayerProbes
from opsin.records.scores import Baseline, ClassScores, Comparison, Scores, Threshold
from opsin.records.shortcuts import Share, Shortcut, Shortcuts
from opsin.records.snapshot import Snapshot
from opsin.records.trace import Failure, Graph, Node, Term, Trace

__all__ = [
    "BETTER_THAN_RANDOM",
    "FAILS_SANITY",
    "NOT_CHECKED",
    "NO_BETTER_THAN_RANDOM",
    "VERDICTS",
    "Agreement",
    "Baseline",
    "ClassScores",
    "Comparison",
    "Control",
    "Dream",
    "Evidence",
    "Explanation",
    "Failure",
    "FeatureMaps",
    "FeatureSpace",
    "Filters",
    "Graph",
    "Interval",
    "LayerMaps",
    "LayerProbe",
    "LayerProbes",
    "Measure",
    "Node",
    "Prediction",
    "ReceptiveField",
    "Scores",
    "Share",
    "Shortcut",
    "Shortcuts",
    "Snapshot",
    "Term",
    "Threshold",
    "TopImages",
    "Trace",
    "Unreadable",
]
