"""Swin-L, windows of 14, from its GreenMIM pre-training, on ImageNet-1K.

Recipe    the official one (LayneH/GreenMIM, ft_configs): that of Swin-B with
          lr = 1e-3 * 1024 / 512 = 2e-3, layer decay 0.8 and drop path 0.3. Train
          configs/pretrain/greenmim_swin-large-w14_8xb256-800e_in1k.py, and copy
          its epoch_800.pth to checkpoints/greenmim_swin_large_w14_800e.pth.
Command   bash tools/dist_train.sh \
              configs/imagenet/swin-large-w14-greenmim_8xb64x2-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (71.6 + 0.0031 + 143) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 27.5 EFLOPs, 61.1 GPU hours at 125
          TFLOP/s in bf16; 24.7 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; published: 85.1 % top-1 (LayneH/GreenMIM)
"""
_base_ = './swin-base-greenmim_8xb128-100e_in1k.py'

model = dict(
    backbone=dict(
        arch='large',
        window_size=14,
        stage_cfgs=[dict(), dict(), dict(),
                    dict(window_size=7)],
        drop_path_rate=0.3,
        init_cfg=dict(
            checkpoint='checkpoints/greenmim_swin_large_w14_800e.pth')),
    head=dict(in_channels=1536))

optim_wrapper = dict(
    accumulative_counts=2,
    optimizer=dict(lr=2e-3),
    paramwise_cfg=dict(layer_decay_rate=0.8))
train_dataloader = dict(batch_size=64)
