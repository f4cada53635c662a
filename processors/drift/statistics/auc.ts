/**
 * Area under the ROC curve: how often a positive scores above a negative, ties counting half. 0.5: the scores say nothing; 1:
 * all. NaN without both. Equal to sklearn.metrics.roc_auc_score.
 */
export function auc(scores: ArrayLike<number>, labels: readonly boolean[]): number {
  const order = labels.map((_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  const positives = labels.filter(Boolean).length;
  let ranks = 0;
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to < order.length && scores[order[to]!] === scores[order[from]!]) to++;
    // Ranks count from 1; those that are equal share the middle of theirs.
    for (let i = from; i < to; i++) if (labels[order[i]!]) ranks += (from + 1 + to) / 2;
    from = to;
  }
  return (ranks - (positives * (positives + 1)) / 2) / (positives * (labels.length - positives));
}
