"""DINO (the detector) with HPViT-B from DINOv2 on COCO, 12 epochs.

Recipe    mmdetection's for DINO with four scales, with layer decay instead of
          a tenth of the rate for the backbone (see the schedule); its images
          without objects are omitted. Drop path and attention as with Mask
          R-CNN. The kernel of 14 pixels is resized to 16, as ViT-Adapter and
          EoMT do: strides of 4 to 32 need it.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-avg-dinov2_dino-4scale_8xb2-ms-12e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,554 + 5.0 + 4,055) GFLOPs (backbone, neck, backward pass; not
          counted: bbox_head) x 117,266 images x 12 epochs = more than 7.9
          EFLOPs, 17.6 GPU hours at 125 TFLOP/s in bf16; 8.1 GiB a GPU
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
        attention=('dilated', 'dilated', ('window', 'window', 'global') * 2,
                   'global'),
        window_size=16,
        with_cp=(True, False, False, False),
        **_base_.backbone))
