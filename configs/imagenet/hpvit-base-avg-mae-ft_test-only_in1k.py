"""MAE's fine-tuned ViT-B, converted to HPViT-B and tested without training.

Recipe    what the conversion alone keeps of the plain ViT's accuracy; the
          weights and the head are those of the plain ViT's config, from which
          it inherits.
Command   python tools/test.py --untrained \
              configs/imagenet/hpvit-base-avg-mae-ft_test-only_in1k.py
Cost      (124 + 0.0015) GFLOPs (backbone, heads) x 50,000 images = 0.0062
          EFLOPs, 0.22 GPU hours at 7.8 TFLOP/s in fp32 (tools/model_zoo.py;
          not measured)
Result    not yet evaluated
"""
_base_ = './vit-base-mae-ft_test-only_in1k.py'

model = dict(
    backbone=dict(
        patch_stride=4, stage_depths=(2, 2, 6, 2), pooling='avg'))
