"""GreenMIM pre-training of Swin-L (windows of 14) on ImageNet-1K for 800 epochs.

Recipe    the official one (LayneH/GreenMIM): lr 1e-4 * 2048 / 256 = 8e-4. The
          last stage has 7 x 7 tokens, and one window of them.
Command   bash tools/dist_train.sh \
              configs/pretrain/greenmim_swin-large-w14_8xb256-800e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (17.0 + 0.49 + 34.9) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 800 epochs = 53.7 EFLOPs, 119 GPU hours at 125
          TFLOP/s in bf16 (tools/model_zoo.py; not measured)
Result    not yet trained; published after fine-tuning: 85.1 % top-1
          (LayneH/GreenMIM)
"""
_base_ = [
    '../_base_/models/greenmim_swin.py',
    '../_base_/datasets/imagenet_mae-224.py',
    '../_base_/schedules/imagenet_mae-800e.py',
    '../_base_/default_runtime/pretrain.py',
]

model = dict(
    backbone=dict(
        arch='large',
        window_size=14,
        stage_cfgs=[dict(), dict(), dict(),
                    dict(window_size=7)]),
    neck=dict(in_channels=1536))

optim_wrapper = dict(optimizer=dict(lr=8e-4))
train_dataloader = dict(batch_size=256)
auto_scale_lr = dict(base_batch_size=2048)
