"""UperNet with HiViT-B, fine-tuned on ImageNet, on ADE20K at 640 pixels.

Recipe    the official one, see the schedule's file; it starts from the checkpoint
          that was fine-tuned on ImageNet
Command   bash tools/dist_train.sh \
              configs/ade20k/hivit-base-mae-ft_upernet_8xb4-80k_ade20k-640x640.py 8 \
              --amp --amp-dtype bfloat16
Cost      (350 + 2,624 + 5,949) GFLOPs (backbone, heads, backward pass) x 32
          images x 80,000 iterations = 22.8 EFLOPs, 50.8 GPU hours at 125
          TFLOP/s in bf16; 17.1 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; published: 52.8 mIoU (zhangxiaosong18/hivit)
"""
_base_ = [
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/ade20k_640x640.py',
    '../_base_/schedules/ade20k_80k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=dict(size=(640, 640)),
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.HiViT',
        arch='base',
        relative_position=True,
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='checkpoints/mae_hivit_base_1600ep_ft100ep.pth')),
    decode_head=dict(in_channels=[128, 256, 512, 512], channels=1024),
    auxiliary_head=dict(in_channels=512),
    test_cfg=dict(mode='slide', crop_size=(640, 640), stride=(426, 426)))

train_dataloader = dict(batch_size=4)
