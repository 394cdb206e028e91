"""GreenMIM pre-training of Swin-B (windows of 7) on ImageNet-1K for 800 epochs.

Recipe    the official rate (LayneH/GreenMIM): 1.5e-4 * 2048 / 256 = 1.2e-3; batch
          and epochs are those of its models with windows of 14
Command   bash tools/dist_train.sh \
              configs/pretrain/greenmim_swin-base_8xb256-800e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (7.5 + 0.48 + 15.9) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 800 epochs = 24.5 EFLOPs, 54.5 GPU hours at 125
          TFLOP/s in bf16 (tools/model_zoo.py; not measured)
Result    not yet trained; published after fine-tuning: 83.8 % top-1
          (LayneH/GreenMIM)
"""
_base_ = [
    '../_base_/models/greenmim_swin.py',
    '../_base_/datasets/imagenet_mae-224.py',
    '../_base_/schedules/imagenet_mae-800e.py',
    '../_base_/default_runtime/pretrain.py',
]

optim_wrapper = dict(optimizer=dict(lr=1.2e-3))
train_dataloader = dict(batch_size=256)
auto_scale_lr = dict(base_batch_size=2048)
