"""The tools of tools/analysis on tiny experiments."""
from pathlib import Path

import cv2
import numpy as np
from tiny_experiments import ROOT

CONFIG = ROOT / 'configs/quickstart/hpvit-mini_1xb32-8e_sample-imagenet.py'


def test_features_are_drawn(inside, sample_data):
    image = min((sample_data / 'imagenet/val').rglob('*.JPEG'))
    inside('analysis/visualize_features.py', CONFIG, image, '--size', 64,
           '--point', 20, 40)
    figure = cv2.imread('features.png')
    assert figure.shape[1] > 1000 and figure.std() > 10


def test_features_of_a_trained_classifier_are_drawn(inside, trained,
                                                    sample_data):
    config, checkpoint = trained('classification')
    image = min((sample_data / 'imagenet/val').rglob('*.JPEG'))
    inside('analysis/visualize_features.py', config, image, '--size', 64,
           '--checkpoint', checkpoint)
    assert np.std(cv2.imread('features.png')) > 10


def test_mistakes_of_the_features_tool(refused, trained, tmp_path):
    refused('analysis/visualize_features', CONFIG, tmp_path / 'none.jpg',
            says=['cannot be read'])
    config, _ = trained('classification')
    refused('analysis/visualize_features', config, 'a.jpg',
            says=['--checkpoint'])
    assert not Path('features.png').exists()
