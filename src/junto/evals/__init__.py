"""Evidence of which model is good enough for which task: shadows, scores, judges, figures, proposals, datasets."""
