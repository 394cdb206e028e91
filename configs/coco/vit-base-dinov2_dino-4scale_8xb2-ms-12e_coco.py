"""DINO (the detector) with DINOv2's plain ViT-B on COCO: the baseline.

Recipe    that of HPViT. The levels at strides 8 to 64 come from ViTDet's
          simple feature pyramid.
Command   bash tools/dist_train.sh \
              configs/coco/vit-base-dinov2_dino-4scale_8xb2-ms-12e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (462 + 21.2 + 963) GFLOPs (backbone, neck, backward pass; not
          counted: bbox_head) x 117,266 images x 12 epochs = more than 2.0
          EFLOPs, 4.5 GPU hours at 125 TFLOP/s in bf16; 5.5 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov2-base.py',
    '../_base_/models/dino-4scale_hpvit.py',
    '../_base_/datasets/coco_ms-800-boxes.py',
    '../_base_/schedules/coco_dino-12e.py',
    '../_base_/default_runtime/mmdet.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        drop_path_rate=0.3,
        out_indices=(0, ),
        patch_stride=16,
        stage_depths=(12, ),
        attention=(('window', 'window', 'global') * 4, ),
        window_size=16,
        **_base_.backbone),
    neck=dict(
        _delete_=True,
        type='hpvit_mm.SimpleFeaturePyramid',
        in_channels=768,
        scale_factors=(2, 1, 0.5),
        num_outs=4))
