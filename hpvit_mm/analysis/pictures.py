"""The pictures of the report, as data URIs."""
import base64
import io
import pickle
from pathlib import Path
from typing import List, Sequence, Tuple

from .chart import spread

KINDS = {'.png': 'png', '.jpg': 'jpeg', '.jpeg': 'jpeg'}


def scenes(folder: Path, count: int = 6) -> List[Tuple[str, float]]:
    """Some of the pictures that the host has drawn, evenly spaced.

    They are not chosen by how good they look.

    Returns:
        Pairs of a picture and its width over its height.
    """
    from PIL import Image
    paths = sorted(path for path in Path(folder).rglob('*')
                   if path.suffix.lower() in KINDS)
    result = []
    for path in spread(paths, count):
        width, height = Image.open(path).size
        result.append((data_uri(path.read_bytes(),
                                KINDS[path.suffix.lower()]), width / height))
    return result


def digits(predictions: Path, classes: Sequence[str], count: int = 8) -> dict:
    """Single pictures with what they are and what they were taken for.

    Args:
        predictions: What tools/test.py has written with ``--out FILE.pkl``.
        classes: The names of the classes.
        count: How many to show of the right and of the wrong ones each.

    Returns:
        'right' and 'wrong', each a list of dicts with 'picture', 'truth',
        'prediction' and 'score'; 'number_wrong' and 'number', of all.
    """
    with open(predictions, 'rb') as file:  # written by our own step
        samples = pickle.load(file)
    right, wrong = [], []
    for sample in samples:
        truth, prediction = int(sample['gt_label']), int(sample['pred_label'])
        (right if truth == prediction else wrong).append(
            (sample['img_path'], classes[truth], classes[prediction],
             float(sample['pred_score'][prediction])))

    def shown(kind):
        return [dict(picture=thumbnail(path), truth=truth,
                     prediction=prediction, score=score)
                for path, truth, prediction, score in spread(kind, count)]

    return dict(right=shown(right), wrong=shown(wrong),
                number_wrong=len(wrong), number=len(samples))


def thumbnail(path: Path, side: int = 128) -> str:
    """A picture of any kind, its short edge scaled to ``side``."""
    from PIL import Image, ImageOps
    image = ImageOps.exif_transpose(Image.open(path)).convert('RGB')
    scale = side / min(image.size)
    image = image.resize([round(scale * edge) for edge in image.size],
                         Image.BICUBIC)
    data = io.BytesIO()
    image.save(data, 'jpeg', quality=88)
    return data_uri(data.getvalue(), 'jpeg')


def data_uri(data: bytes, kind: str) -> str:
    """Bytes of a picture as a part of a page."""
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
