"""Compare two models on the same images, with a paired bootstrap."""
from typing import Dict, Iterable, List, NamedTuple, Tuple

import numpy as np
import torch

from hpvit_mm.errors import UserError

ROUNDS = 2000  # of the bootstrap


class Scores(NamedTuple):
    """What a model scores on each image.

    Attributes:
        names: Files of the N images.
        hits: Right images, or pixels, of each of the K classes, (N, K).
        totals: All of them, or the union of truth and prediction, (N, K).
        confusion: Images, or pixels, of each class in the rows that were
            taken for each class in the columns, (K, K).
    """
    names: List[str]
    hits: np.ndarray
    totals: np.ndarray
    confusion: np.ndarray


@torch.no_grad()
def score_images(model, loader: Iterable, num_classes: int) -> Scores:
    """Score a classifier or a segmentor on each image of a data set.

    Args:
        model: The model, in eval mode.
        loader: Batches of the data set, with labels.
        num_classes: Number of classes K.

    Raises:
        UserError: If the data have no labels.
    """
    names, hits, totals = [], [], []
    confusion = np.zeros((num_classes, num_classes), np.int64)
    for batch in loader:
        truths = [truth_of(one) for one in batch['data_samples']]
        for truth, sample in zip(truths, model.test_step(batch)):
            labels = sample.pred_label if 'pred_label' in sample \
                else sample.pred_sem_seg.data
            labels = labels.cpu().flatten()
            names.append(sample.img_path)
            known = truth < num_classes  # others are ignored
            labels, truth = labels[known], truth[known]
            np.add.at(confusion, (truth.numpy(), labels.numpy()), 1)
            right, real, found = (
                torch.bincount(one, minlength=num_classes).numpy()
                for one in (truth[labels == truth], truth, labels))
            hits.append(right)
            totals.append(real if 'pred_label' in sample
                          else real + found - right)
    return Scores(names, np.stack(hits), np.stack(totals), confusion)


def truth_of(sample) -> torch.Tensor:
    """The labels of an image, or of its pixels, (n,)"""
    if 'gt_label' in sample:
        if len(sample.gt_label) != 1:
            raise UserError('images with several labels cannot be compared')
        return sample.gt_label.clone()
    if 'gt_sem_seg' in sample:
        return sample.gt_sem_seg.data.flatten().long()
    raise UserError('the test data have no labels: compare on others')


def metric(hits: np.ndarray, totals: np.ndarray, mean_of_classes: bool
           ) -> np.ndarray:
    """Accuracy, or the mean IoU of the classes that occur.

    Args:
        hits: Sums over images, (..., K).
        totals: Likewise.
        mean_of_classes: True for IoU.
    """
    if not mean_of_classes:
        return hits.sum(-1) / totals.sum(-1)
    with np.errstate(invalid='ignore'):
        return np.nanmean(hits / totals, axis=-1)


def bootstrap(one: Scores, other: Scores, mean_of_classes: bool
              ) -> Tuple[float, Tuple[float, float], float]:
    """Difference of two models, by resampling images.

    Both models are scored on the same resampled images (a paired bootstrap,
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993).

    Returns:
        The difference other - one, its interval of 95 %, and the share of
        the rounds in which it has the other sign or is 0.
    """
    number = len(one.names)
    random = np.random.default_rng(0)
    # how often each image is drawn, (ROUNDS, N)
    counts = random.multinomial(number, [1 / number] * number, size=ROUNDS)
    first, second = (metric(counts @ scores.hits, counts @ scores.totals,
                            mean_of_classes) for scores in (one, other))
    drawn = second - first
    difference = float(
        metric(other.hits.sum(0), other.totals.sum(0), mean_of_classes)
        - metric(one.hits.sum(0), one.totals.sum(0), mean_of_classes))
    low, high = np.quantile(drawn, [0.025, 0.975])
    contrary = float((drawn * np.sign(difference) <= 0).mean())
    return difference, (float(low), float(high)), contrary


def per_class(scores: Scores, classes) -> Dict[str, float]:
    """Accuracy or IoU of each class that occurs."""
    hits, totals = scores.hits.sum(0), scores.totals.sum(0)
    return {name: float(hit / total) for name, hit, total in zip(
        classes, hits, totals) if total}


def confusions(scores: Scores, classes, count: int
               ) -> List[Tuple[str, str, float]]:
    """The classes that are most often taken for another.

    Returns:
        Class, the class that it is taken for, and in which share of its
        images or pixels; the largest shares first.
    """
    shares = scores.confusion / scores.confusion.sum(
        1, keepdims=True).clip(min=1)
    np.fill_diagonal(shares, 0)
    order = shares.ravel().argsort(kind='stable')[::-1][:count]
    return [(classes[i], classes[j], float(shares[i, j]))
            for i, j in zip(*np.unravel_index(order, shares.shape))
            if shares[i, j]]


def changed(one: Scores, other: Scores) -> List[Tuple[str, float, float]]:
    """Images with another score, the largest loss first."""
    values = [scores.hits.sum(1) / np.maximum(1, scores.totals.sum(1))
              for scores in (one, other)]
    order = np.argsort(values[1] - values[0], kind='stable')
    return [(one.names[i], float(values[0][i]), float(values[1][i]))
            for i in order if values[0][i] != values[1][i]]
