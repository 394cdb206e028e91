"""Mask R-CNN with DINOv2's plain ViT-S on COCO: the baseline.

Recipe    ViT-Adapter's for DINOv2 (czczup/ViT-Adapter,
          detection/configs/mask_rcnn/dinov2), without its adapter: AdamW 1e-4,
          weight decay 0.05, layer decay 0.7, drop path 0.2, multi-scale
          training. Attention is that of the MAE config, from which it
          inherits. The kernel of 14 pixels is resized to 16, as ViT-Adapter
          and EoMT do: strides of 4 to 32 need it.
Command   bash tools/dist_train.sh \
              configs/coco/vit-small-dinov2_mask-rcnn_8xb2-ms-3x_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (133 + 438 + 1,141) GFLOPs (backbone, heads, backward pass) x 117,266
          images x 36 epochs = 7.2 EFLOPs, 16.1 GPU hours at 125 TFLOP/s in
          bf16; 4.8 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; ViT-Adapter publishes 51.5 box AP and 45.6 mask AP
          with its adapter
"""
_base_ = [
    '../_base_/backbones/dinov2-small.py',
    './hpvit-base-conv-mae_mask-rcnn_8xb2-ms-3x_coco.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    neck=dict(_delete_=True, type='hpvit_mm.SimpleFeaturePyramid', in_channels=384, num_outs=5),
    backbone=dict(
        drop_path_rate=0.2,
        patch_stride=16,
        stage_depths=(12, ),
        with_cp=False,
        attention=(('window', 'window', 'global') * 4, ),
        **_base_.backbone))
