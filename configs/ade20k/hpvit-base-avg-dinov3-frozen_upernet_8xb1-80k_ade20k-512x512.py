"""UperNet on a frozen HPViT-B from DINOv3 on ADE20K.

Recipe    see the schedule. Nothing of the backbone is trained, its norms
          included, so pooling is the average.
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-base-avg-dinov3-frozen_upernet_8xb1-80k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (759 + 441 + 860) GFLOPs (backbone, heads, backward pass) x 8 images
          x 80,000 iterations = 1.3 EFLOPs, 2.9 GPU hours at 125 TFLOP/s in
          bf16; 1.3 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/ade20k_frozen-80k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        pooling='avg',
        drop_path_rate=0.,
        window_size=16,
        frozen_stages=4,
        **_base_.backbone),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))

train_dataloader = dict(batch_size=1)
