"""Test loop for k-nearest-neighbour classification."""
from typing import List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, get_world_size
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner.amp import autocast
from torch import Tensor
from torch.utils.data import DataLoader

from hpvit_mm.errors import UserError
from hpvit_mm.registry import LOOPS

from ..data.dataset import guarded
from .evaluate import GuardedTestLoop


@LOOPS.register_module()
class KNNTestLoop(GuardedTestLoop):
    """Classify each image by its nearest neighbours in a bank of images.

    It evaluates features without training. Neighbours vote with the weight
    ``exp(cosine similarity / temperature)``, the protocol of DINO
    (facebookresearch/dino, eval_knn.py). The features are the last output of
    the model without a head, (B, C). The bank is kept on the model's device:
    4 * C bytes per image, 3.9 GB for ImageNet and C = 768.

    Args:
        runner: The runner.
        dataloader: The images to classify, or a dict to build their loader.
        evaluator: The metrics, or a dict to build them.
        bank: Dict to build the DataLoader of the labelled images, without
            augmentation or shuffling.
        num_neighbours: Number of neighbours that vote. Defaults to 20.
        temperature: Temperature of the vote. Defaults to 0.07.
        fp16: As for mmengine's TestLoop. Defaults to False.
        amp_dtype: As for :class:`GuardedTestLoop`. Defaults to None.

    Raises:
        UserError: If ``num_neighbours`` or ``temperature`` is not positive,
            or there are fewer images in the bank than neighbours.
    """

    def __init__(self,
                 runner,
                 dataloader: Union[DataLoader, dict],
                 evaluator: Union[dict, List[dict]],
                 bank: dict,
                 num_neighbours: int = 20,
                 temperature: float = 0.07,
                 fp16: bool = False,
                 amp_dtype: Optional[str] = None) -> None:
        super().__init__(runner, dataloader, evaluator, fp16,
                         amp_dtype=amp_dtype)
        if num_neighbours < 1 or temperature <= 0:
            raise UserError(
                'num_neighbours and temperature of KNNTestLoop must be '
                f'positive, but they are {num_neighbours} and {temperature}.')
        self.bank = runner.build_dataloader(guarded(bank, 'test_cfg.bank'))
        if num_neighbours > len(self.bank.dataset):
            raise UserError(
                f'num_neighbours={num_neighbours} of KNNTestLoop is more than '
                f'the {len(self.bank.dataset)} images of its bank.')
        self.num_neighbours = num_neighbours
        self.temperature = temperature

    def run(self) -> dict:
        """Fill the bank, then test."""
        self.runner.model.eval()
        with self.precision():
            self.features, self.labels = self._fill_bank()
        return super().run()

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Classify one batch of images."""
        self.runner.call_hook(
            'before_test_iter', batch_idx=idx, data_batch=data_batch)
        features, samples = self._extract(data_batch)
        scores = knn_scores(features, self.features, self.labels,
                            self.num_neighbours, self.temperature)
        for sample, score in zip(samples, scores):
            sample.set_pred_score(score).set_pred_label(score.argmax())
        self.evaluator.process(data_samples=samples, data_batch=data_batch)
        self.runner.call_hook(
            'after_test_iter', batch_idx=idx, data_batch=data_batch,
            outputs=samples)

    @torch.no_grad()
    def _fill_bank(self) -> Tuple[Tensor, Tensor]:
        """Features (N, C) and labels (N, ) of the bank.

        Each process computes a part.
        """
        features, labels = [], []
        for idx, batch in enumerate(self.bank):
            if idx % 100 == 0:
                print_log(f'Features of the bank: batch {idx} of '
                          f'{len(self.bank)}', logger='current')
            part, samples = self._extract(batch)
            features.append(part)
            labels.append(torch.cat([one.gt_label for one in samples]))
        number = len(self.bank.dataset)
        return (_gather(torch.cat(features), number),
                _gather(torch.cat(labels).to(features[0].device), number))

    def _extract(self, batch: Sequence[dict]) -> Tuple[Tensor, list]:
        """Normalised features (B, C), and their data samples."""
        model = self.runner.model
        model = model.module if is_model_wrapper(model) else model
        data = model.data_preprocessor(batch, training=False)
        with autocast(enabled=self.fp16):
            features = model(**data, mode='tensor')[-1]
        return F.normalize(features.float(), dim=1), data['data_samples']


def knn_scores(queries: Tensor, bank: Tensor, labels: Tensor,
               num_neighbours: int, temperature: float) -> Tensor:
    """Compute the share of the vote of each class.

    Args:
        queries: Normalised features of shape (B, C).
        bank: Normalised features of shape (N, C).
        labels: Classes of the bank, (N, ).
        num_neighbours: Number of neighbours that vote.
        temperature: Votes are ``exp(similarity / temperature)``.

    Returns:
        Shares of shape (B, classes), which sum to 1.
    """
    # (B, C) @ (C, N) -> (B, N) -> (B, k)
    similarity, nearest = (queries @ bank.T).topk(num_neighbours, dim=1)
    votes = (similarity / temperature).softmax(dim=1)
    scores = votes.new_zeros(len(queries), int(labels.max()) + 1)
    return scores.scatter_add_(1, labels[nearest], votes)


def _gather(part: Tensor, number: int) -> Tensor:
    """Gather the parts in the order of the dataset, without padding.

    Process r of n has the samples r, r + n, r + 2n and so on; the first
    samples are repeated at the end where n does not divide the number.
    """
    if get_world_size() == 1:
        return part
    # n of (N / n, ...) -> (N / n, n, ...) -> (N, ...)
    return torch.stack(all_gather(part), dim=1).flatten(0, 1)[:number]
