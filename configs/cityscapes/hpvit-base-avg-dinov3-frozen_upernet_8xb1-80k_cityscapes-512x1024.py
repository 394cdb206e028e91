"""UperNet on a frozen HPViT-B from DINOv3 on Cityscapes.

Recipe    see the schedule. Nothing of the backbone is trained, its norms
          included, so pooling is the average.
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-base-avg-dinov3-frozen_upernet_8xb1-80k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,556 + 876 + 1,712) GFLOPs (backbone, heads, backward pass) x 8
          images x 80,000 iterations = 2.7 EFLOPs, 5.9 GPU hours at 125 TFLOP/s
          in bf16; 1.6 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/ade20k_frozen-80k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 1024), **_base_.normalization),
    decode_head=dict(num_classes=19),
    auxiliary_head=dict(num_classes=19),
    backbone=dict(
        pooling='avg',
        drop_path_rate=0.,
        window_size=16,
        frozen_stages=4,
        **_base_.backbone),
    test_cfg=dict(mode='slide', crop_size=(512, 1024), stride=(341, 683)))

train_dataloader = dict(batch_size=1)
