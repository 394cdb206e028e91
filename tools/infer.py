#!/usr/bin/env python
"""Predict images and videos with a trained model; see --help."""
import argparse
import contextlib
import glob
import json
import os
import sys
from itertools import islice
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import examples, run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402

environment.prepare()

IMAGES = ('.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff',
          '.webp')
VIDEOS = ('.avi', '.gif', '.m4v', '.mkv', '.mov', '.mp4', '.webm')

NOTES = """\
With --out the folder gets predictions.json, images/ (drawn, with the paths of
the inputs; of a video: a video) and, for segmentation, label_maps/ (PNG, a
pixel is a label). The JSON of detectors has COCO's format, in which category
ids are the labels + 1.

exit status: 0; 1 if images could not be read and were skipped; 2 after an
error"""


def find_inputs(names: Sequence[str]) -> List[Tuple[str, str]]:
    """The files that are meant, each with a name for its outputs.

    Args:
        names: Files, folders (all images and videos below them) and globs.

    Raises:
        UserError: If one of them names nothing.
    """
    files = {}
    for name in names:
        path = Path(name)
        if path.is_dir():
            found = sorted(
                one for one in path.rglob('*')
                if one.suffix.lower() in IMAGES + VIDEOS and one.is_file())
        elif path.exists():
            found = [path]
        else:
            found = [Path(one) for one in sorted(glob.glob(
                name, recursive=True)) if os.path.isfile(one)]
        if not found:
            raise UserError(
                f'there is no image or video in the folder {name}: name one '
                'that has some' if path.is_dir() else
                f'{name} does not exist or matches no file: check the path')
        files.update((str(one), one.resolve()) for one in found)
    root = os.path.commonpath([one.parent for one in files.values()])
    return [(name, os.path.relpath(path, root))
            for name, path in files.items()]


def frames_of(path: str) -> Iterator[Tuple[str, str, Optional[object]]]:
    """Yield the name of a frame, what the model gets, and its pixels."""
    import mmcv
    if Path(path).suffix.lower() in VIDEOS:
        for number, frame in enumerate(mmcv.VideoReader(path)):
            yield f'{path}#{number}', frame, frame
        return
    try:
        image = mmcv.imread(path)
    except Exception:  # each decoder has its own
        image = None
    yield path, path, image


def count_frames(path: str) -> int:
    """The number of frames of a video, 1 for an image."""
    import mmcv
    if Path(path).suffix.lower() not in VIDEOS:
        return 1
    return max(0, len(mmcv.VideoReader(path)))


def check_device(device: Optional[str]) -> None:
    """Raise a UserError if there is no such device."""
    import torch

    from hpvit_mm.engine.checks.build import first_text
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f'--device {device} cannot be used '
                        f'({first_text(error)}); name another one, such as '
                        'cpu') from error


def make_folder(out: str) -> None:
    """Make the folder of --out, which must be new or empty."""
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
        empty = not os.listdir(out)
    except OSError as error:
        raise UserError(f'--out {out}: {error.strerror}; name a folder that '
                        'can be written') from error
    if not empty:
        raise UserError(f'--out {out} is not empty; name a new folder')
    if not os.access(out, os.W_OK):
        raise UserError(f'--out {out} cannot be written; name another folder')


class Outputs:
    """Collects the results, and writes the files of --out.

    Args:
        predictor: The predictor.
        args: The command line.
    """

    def __init__(self, predictor, args) -> None:
        self.predictor, self.args = predictor, args
        self.images, self.objects = [], []
        self.video = None

    def add(self, source: str, name: str, pixels, sample, video) -> None:
        """Add the prediction of an image or of a frame."""
        from hpvit_mm.analysis import inference
        predictor, args = self.predictor, self.args
        height, width = pixels.shape[:2]
        entry = dict(id=len(self.images), file_name=source, width=width,
                     height=height)
        if predictor.task == 'classification':
            found = inference.top_classes(sample, predictor.classes,
                                          args.top_k)
            entry['classes'] = found
            text = ', '.join('{name} {score:.3f}'.format(**one)
                             for one in found)
        elif predictor.task == 'detection':
            found = inference.objects(sample, args.score_thr)
            self.objects += [dict(one, id=len(self.objects) + i, image_id=len(
                self.images)) for i, one in enumerate(found, 1)]
            text = ', '.join('{} {:.3f}'.format(
                predictor.classes[one['category_id'] - 1], one['score'])
                for one in found) or 'nothing'
        else:
            labels = inference.label_map(sample)
            entry['shares'] = inference.shares(labels, predictor.classes)
            text = ', '.join(f'{key} {value:.1%}' for key, value in
                             entry['shares'].items())
            if args.out:
                entry['label_map'] = f'label_maps/{name}.png'
                self.write_labels(entry['label_map'], labels)
        self.images.append(entry)
        if args.out and not args.no_images:
            self.draw(pixels, sample, name)
            if video:
                self.draw_frame(name, video, source.rpartition('#')[0])
        if not args.json:
            print(f'{source}: {text}')

    def write_labels(self, name: str, labels) -> None:
        """Write a label map as a PNG of 8 or 16 bits."""
        import cv2
        path = Path(self.args.out, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        wide = len(self.predictor.classes) > 256
        cv2.imwrite(str(path), labels.numpy().astype(
            'uint16' if wide else 'uint8'))

    def picture(self, name: str) -> Path:
        """The file of a drawn image."""
        if not name.lower().endswith(('.jpg', '.jpeg', '.png')):
            name += '.png'
        return Path(self.args.out, 'images', name)

    def draw(self, pixels, sample, name: str) -> None:
        """Draw the prediction of an image."""
        path = self.picture(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.predictor.draw(pixels, sample, str(path), self.args.score_thr)

    def draw_frame(self, name: str, video: str, source: str) -> None:
        """Move a drawn frame into the video."""
        import cv2
        import mmcv
        path = self.picture(name)
        frame = cv2.imread(str(path))
        path.unlink()
        if self.video is None:
            self.video = cv2.VideoWriter(
                str(Path(self.args.out, 'images', f'{video}.mp4')),
                cv2.VideoWriter_fourcc(*'mp4v'),
                mmcv.VideoReader(source).fps or 25, frame.shape[1::-1])
        self.video.write(frame)

    def close_video(self) -> None:
        """Finish the video that is being drawn."""
        if self.video is not None:
            self.video.release()
            self.video = None

    def document(self) -> dict:
        """The content of predictions.json."""
        predictor, args = self.predictor, self.args
        result = dict(
            info=dict(config=args.config, checkpoint=args.checkpoint,
                      task=predictor.task), images=self.images)
        if predictor.task == 'detection':
            result['annotations'] = self.objects
            result['categories'] = [dict(id=i, name=name) for i, name in
                                    enumerate(predictor.classes, 1)]
        else:
            result['info']['classes'] = predictor.classes
        return result


def predict(args: argparse.Namespace) -> int:
    """Predict all inputs, and return the number of those skipped."""
    from hpvit_mm.analysis.inference import Predictor
    from hpvit_mm.engine.settings import load_config, merge_options
    from hpvit_mm.utils import progress, replacing
    for name in ('batch_size', 'top_k'):
        if getattr(args, name) < 1:
            raise UserError(f'--{name.replace("_", "-")} must be at least 1')
    check_device(args.device)
    files = find_inputs(args.input)
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options)
    classes = None
    if args.classes:
        try:
            classes = Path(args.classes).read_text().split('\n')
        except OSError as error:
            raise UserError(f'--classes {args.classes}: {error.strerror}; '
                            'name a file with one class a line') from error
        classes = [line.strip() for line in classes if line.strip()]
    if args.out:
        make_folder(args.out)
    with contextlib.redirect_stdout(sys.stderr):  # the libraries print
        predictor = Predictor(cfg, args.checkpoint, classes, args.device)
    outputs = Outputs(predictor, args)

    skipped = []

    def items():
        for source, name in files:
            video = name if Path(source).suffix.lower() in VIDEOS else None
            empty = True
            for frame, image, pixels in frames_of(source):
                if pixels is not None:
                    empty = False
                    yield (frame, f'{name}_{frame.split("#")[-1]:0>6}'
                           if video else name, image, pixels, video)
            if empty:
                print(f'skipped: {source} cannot be read', file=sys.stderr)
                skipped.append(source)

    waiting = iter(progress(items(), 'predict', sum(
        count_frames(source) for source, _ in files)))
    last = None
    while batch := list(islice(waiting, args.batch_size)):
        samples = predictor.predict([one[2] for one in batch],
                                    args.batch_size)
        for (frame, name, _, pixels, video), sample in zip(batch, samples):
            if video != last:
                outputs.close_video()
                last = video
            outputs.add(frame, name, pixels, sample, video)
    outputs.close_video()
    if not outputs.images:
        raise UserError(f'none of the {len(skipped)} files can be read; '
                        'give images or videos')
    text = json.dumps(outputs.document(), indent=1)
    if args.json:
        print(text)
    if args.out:
        with replacing(Path(args.out, 'predictions.json')) as part:
            part.write_text(text + '\n')
    print(f'{len(outputs.images)} predicted'
          + (f', {len(skipped)} skipped' if skipped else '')
          + (f'; results in {args.out}' if args.out else ''),
          file=sys.stderr)
    return len(skipped)


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    from hpvit_mm.engine.arguments import Options
    parser = argparse.ArgumentParser(**examples(
        'Predict images and videos with a trained model: classes '
        '(mmpretrain), objects (mmdet) or labels of pixels (mmseg).',
        'python tools/infer.py CONFIG CHECKPOINT photo.jpg',
        "python tools/infer.py CONFIG CHECKPOINT folder 'more/*.png' --out "
        "results",
        'python tools/infer.py CONFIG CHECKPOINT street.mp4 --out results',
        notes=NOTES))
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('input', nargs='+',
                        help='images, videos, folders, globs')
    parser.add_argument('--out', metavar='DIR',
                        help='a new folder for the results')
    parser.add_argument('--json', action='store_true',
                        help='print predictions.json instead of a line per '
                        'image')
    parser.add_argument('--no-images', action='store_true',
                        help='draw no images into --out')
    parser.add_argument('--batch-size', type=int, default=1, metavar='N',
                        help='images at once (default: 1)')
    parser.add_argument('--score-thr', type=float, default=0.3,
                        metavar='SCORE', help='lowest score of the objects '
                        'to draw and to write (default: 0.3)')
    parser.add_argument('--top-k', type=int, default=5, metavar='K',
                        help='number of classes per image (default: 5)')
    parser.add_argument('--classes', metavar='FILE',
                        help='names of the classes, one a line, where '
                        'neither checkpoint nor config has them')
    parser.add_argument('--device', help='such as cpu or cuda:1 (default: a '
                        'GPU if there is one)')
    parser.add_argument('--cfg-options', nargs='+', action=Options,
                        default={}, metavar='KEY=VALUE',
                        help='as for tools/train.py')
    args = parser.parse_args(argv)
    skipped = []

    def run() -> None:
        environment.check_stack()
        skipped.append(predict(args))

    return run_tool(run) or int(any(skipped))


if __name__ == '__main__':
    sys.exit(main())
