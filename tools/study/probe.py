"""Evaluate frozen features: k-NN, class means and linear probes."""
import time
from pathlib import Path
from typing import List, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from grid import Budget, Data, Network
from PIL import Image
from torch import Tensor, nn

from hpvit_mm.analysis.count import count_step
from hpvit_mm.checkpoints import load_pretrained
from hpvit_mm.engine.loops.knn import knn_scores
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT
from hpvit_mm.datasets.rules.problems import evenly

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
SUBSETS = 3  # disjoint training sets of the linear segmentation heads
PIXELS = 300  # per training image
LATTICE = 4  # pixels between those that are tested
STRENGTHS = (1e-4, 1e-3, 1e-2)  # of the weight decay, chosen in training
SHOTS, DRAWS = 5, 20
IGNORED = 255


def build(network: Network, weights: Path) -> HPViT:
    """The network with pre-trained weights."""
    options = dict(network.backbone)
    resize = options.pop('patch_resize', 'pinv')
    torch.manual_seed(0)
    model = HPViT(**options).eval()
    load_pretrained(model, weights, patch_resize=resize)
    return model


def gmacs(network: Network, size: Tuple[int, int]) -> float:
    """Multiply-adds of the network for an image, in 1e9."""
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            options = dict(network.backbone)
            options.pop('patch_resize', None)
            with torch.device('meta'):
                self.backbone = HPViT(**options)

    size = tuple(round(length * network.scale) for length in size)
    flops = count_step(Model(), size, train=False).forward['backbone']
    return round(flops / 2e9, 3)


@torch.no_grad()
def speed(rows: Sequence[Network], size: Tuple[int, int]) -> dict:
    """Seconds of a forward pass of each network, the best of five rounds.

    The networks take turns, so that what else runs on the machine slows all
    of them.
    """
    models, best = {}, {}
    for row in rows:
        options = dict(row.backbone)
        options.pop('patch_resize', None)
        models[row.name] = HPViT(**options).eval()
    for _ in range(5):
        for row in rows:
            x = torch.zeros(1, 3, *(
                round(side * row.scale) for side in size))
            start = time.perf_counter()
            models[row.name](x)
            taken = time.perf_counter() - start
            best[row.name] = min(taken, best.get(row.name, taken))
    return dict(rows={}, speed={
        name: round(one, 4) for name, one in best.items()})


class Extractor:
    """Computes the outputs of a network.

    Args:
        network: The network.
        weights: File or folder of the plain ViT.
    """

    def __init__(self, network: Network, weights: Path):
        self.network, self.model = network, build(network, weights)

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> Tuple[Tensor, ...]:
        """(H, W, 3) -> maps of shape (C, H_i, W_i)."""
        x = torch.from_numpy((image - MEAN) / STD).float()
        x = x.permute(2, 0, 1)[None]  # (H, W, 3) -> (1, 3, H, W)
        if self.network.scale != 1:
            x = F.interpolate(x, scale_factor=self.network.scale,
                              mode='bicubic', align_corners=False)
        return tuple(out[0] for out in self.model(x))


def read_image(path: Path, size: int) -> np.ndarray:
    """(H, W, 3), with sides of at most ``size`` pixels unless that is 0."""
    image = Image.open(path).convert('RGB')
    if size:
        image.thumbnail((size, size), Image.BICUBIC)
    return np.asarray(image)


def read_labels(path: Path, data: Data, shrink: bool = True) -> np.ndarray:
    """(H, W), with ``IGNORED`` for what has no class."""
    image = Image.open(path)
    if data.size and shrink:
        image.thumbnail((data.size, data.size), Image.NEAREST)
    labels = np.asarray(image).astype(np.int64)
    if data.reduce_zero_label:
        labels = labels - 1
    return np.where((labels < 0) | (labels >= data.classes), IGNORED, labels)


# ----------------------------------------------------------- classification


def images_of(folder: Path, number: int) -> List[Tuple[Path, int]]:
    """``number`` images of each class, spread over its sorted files."""
    found = []
    for label, name in enumerate(sorted(folder.iterdir())):
        found += [(path, label) for path in evenly(sorted(name.iterdir()),
                                                 number)]
    return found


def classify(budget: Budget, network: Network, root: Path,
             weights: Path) -> dict:
    """Accuracies of averaged features.

    Returns:
        The cost, and for each metric the share of right answers per test
        image: 'k-NN' with 20 neighbours, the nearest 'class mean', a
        'linear' classifier, and 'few-shot', class means of 5 images.
    """
    data = budget.classification
    extract = Extractor(network, weights)

    def compute(folder, number):
        found, labels = [], []
        for path, label in images_of(root / data.folder / folder, number):
            image = read_image(path, data.size)
            found.append(extract(image)[-1].mean((1, 2)))
            labels.append(label)
        return torch.stack(found), torch.tensor(labels), image.shape[:2]

    train, train_labels, size = compute(data.train[0], data.num_train)
    test, labels, _ = compute(data.test[0], data.num_test)
    bank, queries = F.normalize(train, dim=1), F.normalize(test, dim=1)
    neighbours = min(20, len(bank))
    right = {'k-NN': knn_scores(queries, bank, train_labels, neighbours,
                                0.07).argmax(1) == labels}
    right['class mean'] = nearest_mean(
        queries, bank, train_labels, data.classes) == labels
    generator = torch.Generator().manual_seed(0)
    shots = []
    for _ in range(DRAWS):
        chosen = torch.cat([
            (train_labels == c).nonzero()[:, 0][torch.randperm(
                int((train_labels == c).sum()), generator=generator)[:SHOTS]]
            for c in range(data.classes)])
        shots.append(nearest_mean(queries, bank[chosen], train_labels[chosen],
                                  data.classes) == labels)
    right['few-shot'] = torch.stack(shots).float().mean(0)
    # every second image of a class chooses the weight decay
    halves = [slice(0, None, 2), slice(1, None, 2)]
    strength = max(STRENGTHS, key=lambda one: sum(
        (LinearHead(train[a], train_labels[a], data.classes, one)(
            train[b]).argmax(1) == train_labels[b]).float().mean().item()
        for a, b in (halves, halves[::-1])))
    head = LinearHead(train, train_labels, data.classes, strength)
    right['linear'] = head(test).argmax(1) == labels
    return dict(gmacs=gmacs(network, size), rows={network.name: {
        metric: [[round(float(one), 3) for one in values]]
        for metric, values in right.items()}})


def nearest_mean(queries: Tensor, bank: Tensor, labels: Tensor,
                 classes: int) -> Tensor:
    """(N, C), (M, C), (M, ) -> (N, ): the class with the nearest mean."""
    means = torch.stack([bank[labels == c].mean(0) for c in range(classes)])
    return (queries @ F.normalize(means, dim=1).T).argmax(1)


class LinearHead:
    """Multinomial logistic regression on standardised features (L-BFGS).

    Args:
        features: (N, C).
        labels: (N, ).
        classes: Number of classes.
        strength: Weight decay, relative to the mean loss.
    """

    def __init__(self, features: Tensor, labels: Tensor, classes: int,
                 strength: float):
        mean, std = features.mean(0), features.std(0) + 1e-6
        x = (features - mean) / std
        weight = torch.zeros(classes, x.shape[1], requires_grad=True)
        bias = torch.zeros(classes, requires_grad=True)
        solver = torch.optim.LBFGS([weight, bias], max_iter=60,
                                   line_search_fn='strong_wolfe')

        def loss():
            solver.zero_grad()
            value = F.cross_entropy(x @ weight.T + bias, labels)
            value = value + strength * weight.square().sum()
            value.backward()
            return value

        solver.step(loss)
        self.weight = (weight / std).detach()
        self.bias = (bias - self.weight @ mean).detach()

    def __call__(self, features: Tensor) -> Tensor:
        """(N, C) -> (N, classes)"""
        return features @ self.weight.T + self.bias


# ------------------------------------------------------------- segmentation


def segment(budget: Budget, network: Network, root: Path,
            weights: Path) -> dict:
    """Linear segmentation of the pixels, on interpolated features.

    Returns:
        The cost, and for the 'last' map and 'all' maps the counts
        (training sets, test images, classes, 2) of pixels in intersection
        and union.
    """
    data, strides = budget.segmentation, None
    extract = Extractor(network, weights)
    folder = root / data.folder
    rng = np.random.default_rng(0)
    features, labels = [], []
    pairs = files(folder, data.train, data.num_train)
    for image_path, label_path in pairs:
        image = read_image(image_path, data.size)
        truth = read_labels(label_path, data)
        rows, columns = (truth != IGNORED).nonzero()
        chosen = rng.integers(len(rows), size=PIXELS)
        rows, columns = rows[chosen], columns[chosen]
        maps = extract(image)
        strides = extract.model.out_strides
        # maps of (C_i, pixels) -> (pixels, C)
        features.append(torch.cat([
            at_pixels(one, stride / network.scale, rows, columns)
            for one, stride in zip(maps, strides)]).T)
        labels.append(torch.from_numpy(truth[rows, columns]))
    channels = [one.shape[0] for one in maps]
    sets = {'all': slice(0, sum(channels)),
            'last': slice(sum(channels[:-1]), sum(channels))}
    subsets = [(torch.cat(features[k::SUBSETS]), torch.cat(labels[k::SUBSETS]))
               for k in range(SUBSETS)]
    heads = {name: fit_subsets(subsets, part, data.classes)
             for name, part in sets.items()}
    counts = {name: [[] for _ in range(SUBSETS)] for name in sets}
    for image_path, label_path in files(folder, data.test, data.num_test):
        image = read_image(image_path, data.size)
        truth = read_labels(label_path, data)
        rows, columns = (one.ravel() for one in np.mgrid[
            :truth.shape[0]:LATTICE, :truth.shape[1]:LATTICE])
        maps = extract(image)
        for name, part in sets.items():
            used = range(len(maps)) if name == 'all' else [len(maps) - 1]
            for k, head in enumerate(heads[name]):
                # a linear layer and an interpolation may change places
                scores, begin = head.bias[:, None], 0
                for i in used:
                    weight = head.weight[:, begin:begin + channels[i]]
                    begin += channels[i]
                    scores = scores + at_pixels(
                        torch.einsum('nc,chw->nhw', weight, maps[i]),
                        strides[i] / network.scale, rows, columns)
                counts[name][k].append(overlap(
                    scores.argmax(0).numpy(), truth[rows, columns],
                    data.classes))
    return dict(gmacs=gmacs(network, image.shape[:2]), rows={
        f'{network.name} {name}': dict(mIoU=values)
        for name, values in counts.items()})


def files(folder: Path, parts: Sequence[str],
          number: int) -> List[Tuple[Path, Path]]:
    """``number`` pairs of images and label maps, spread over all."""
    images = evenly(sorted((folder / parts[0]).iterdir()), number)
    return [(path, folder / parts[1] / f'{path.stem}.png') for path in images]


def at_pixels(one: Tensor, stride: float, rows: np.ndarray,
              columns: np.ndarray) -> Tensor:
    """Interpolate a map (C, h, w) at pixels: (C, pixels)."""
    # pixels -> [-1, 1] of the map
    grid = torch.stack([
        torch.from_numpy((places + 0.5) / (length * stride) * 2 - 1)
        for places, length in ((columns, one.shape[2]),
                               (rows, one.shape[1]))], dim=-1).float()
    # (1, C, h, w), (1, 1, pixels, 2) -> (1, C, 1, pixels) -> (C, pixels)
    return F.grid_sample(one[None], grid[None, None], align_corners=False,
                         padding_mode='border')[0, :, 0]


def fit_subsets(subsets: List[Tuple[Tensor, Tensor]], part: slice,
                classes: int) -> List[LinearHead]:
    """One head per training set; the other sets choose the weight decay."""
    best, best_score = None, -1.
    for strength in STRENGTHS:
        heads = [LinearHead(x[:, part], y, classes, strength)
                 for x, y in subsets]
        score = np.mean([
            (head(x[:, part]).argmax(1) == y).float().mean().item()
            for k, head in enumerate(heads)
            for j, (x, y) in enumerate(subsets) if j != k])
        if score > best_score:
            best, best_score = heads, score
    return best


def overlap(predicted: np.ndarray, truth: np.ndarray,
            classes: int) -> List[List[int]]:
    """Pixels in the intersection and the union of each class."""
    known = truth != IGNORED
    predicted, truth = predicted[known], truth[known]
    both = np.bincount(truth[predicted == truth], minlength=classes)
    either = (np.bincount(truth, minlength=classes) +
              np.bincount(predicted, minlength=classes) - both)
    return np.stack([both, either], axis=1).tolist()


# ------------------------------------------------------------------ features


def features(budget: Budget, network: Network, root: Path,
             weights: Path) -> dict:
    """Measure how the last map changes when an image is shifted.

    Returns:
        For shifts of 0 to 16 pixels the mean cosine similarity between the
        features of the same pixels of a photograph, before and after; and
        for each map its three principal components as colours.
    """
    from skimage import data as photographs
    size = 224 if budget.grid > 4 else 64
    image = np.asarray(Image.fromarray(photographs.astronaut()).resize(
        (size + 16, size + 16), Image.BICUBIC))
    extract = Extractor(network, weights)
    stride = extract.model.out_strides[-1] / network.scale
    rows, columns = (one.ravel() for one in np.mgrid[24:size - 8:8,
                                                     24:size - 8:8])
    first, similar = None, {}
    for shift in (0, 2, 4, 6, 8, 12, 16):
        maps = extract(image[shift:shift + size, shift:shift + size])
        found = at_pixels(maps[-1], stride, rows - shift, columns - shift)
        # without the part that all pixels share
        found = found - found.mean(1, keepdim=True)
        first = found if first is None else first
        similar[str(shift)] = round(F.cosine_similarity(
            first, found, dim=0).mean().item(), 4)
    maps = extract(image[:size, :size])
    return dict(rows={network.name: dict(similarity=similar)},
                maps=[colours(one) for one in maps])


def colours(one: Tensor) -> List[List[List[int]]]:
    """(C, h, w) -> (h, w, 3): principal components, from 0 to 255."""
    pixels = one.flatten(1).T  # (C, h, w) -> (h * w, C)
    pixels = pixels - pixels.mean(0)
    torch.manual_seed(0)
    parts = pixels @ torch.pca_lowrank(pixels, 3, niter=4)[2]
    parts = parts * parts.pow(3).sum(0).sign()  # the sign is arbitrary
    low, high = parts.quantile(0.02, 0), parts.quantile(0.98, 0)
    parts = ((parts - low) / (high - low)).clamp(0, 1) * 255
    # (h * w, 3) -> (h, w, 3)
    return parts.round().int().unflatten(0, one.shape[1:]).tolist()


def check_folder(path: Path, source: str) -> None:
    """Raise a UserError that says what to download."""
    if not path.exists():
        raise UserError(f'{path} does not exist: get it from {source}, and '
                        'see tools/study/README.md for the folders.')



PROBES = dict(segmentation=segment, classification=classify,
              features=features)
