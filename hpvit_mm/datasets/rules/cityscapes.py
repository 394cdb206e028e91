"""Cityscapes: its labels, and label maps drawn from its polygons."""
from dataclasses import dataclass

from PIL import Image, ImageDraw

# Name, id and trainId: the original's table.
LABELS = (
    ('unlabeled', 0, 255), ('ego vehicle', 1, 255),
    ('rectification border', 2, 255), ('out of roi', 3, 255),
    ('static', 4, 255), ('dynamic', 5, 255), ('ground', 6, 255),
    ('road', 7, 0), ('sidewalk', 8, 1), ('parking', 9, 255),
    ('rail track', 10, 255), ('building', 11, 2), ('wall', 12, 3),
    ('fence', 13, 4), ('guard rail', 14, 255), ('bridge', 15, 255),
    ('tunnel', 16, 255), ('pole', 17, 5), ('polegroup', 18, 255),
    ('traffic light', 19, 6), ('traffic sign', 20, 7), ('vegetation', 21, 8),
    ('terrain', 22, 9), ('sky', 23, 10), ('person', 24, 11),
    ('rider', 25, 12), ('car', 26, 13), ('truck', 27, 14), ('bus', 28, 15),
    ('caravan', 29, 255), ('trailer', 30, 255), ('train', 31, 16),
    ('motorcycle', 32, 17), ('bicycle', 33, 18), ('license plate', -1, -1))


@dataclass
class Thing:
    """A polygon with a label; points are whole pixels, x and y."""
    label: str
    points: list


def draw(things, height, width, kind):
    """Draw a label map from polygons, later ones over earlier ones.

    Args:
        things (list[Thing]): The polygons.
        kind (str): 'labelIds' or 'labelTrainIds'.

    Returns:
        Image: Mode L.
    """
    column = dict(labelIds=1, labelTrainIds=2)[kind]
    table = {row[0]: row for row in LABELS}
    image = Image.new('L', (width, height), table['unlabeled'][column])
    pen = ImageDraw.Draw(image)
    for thing in things:
        row = table.get(thing.label) or table[
            thing.label.removesuffix('group')]
        if row[1] >= 0:  # a licence plate belongs to its car
            pen.polygon([tuple(p) for p in thing.points], row[column])
    return image
