# Mask2Former's 90,000 iterations on Cityscapes (mmsegmentation,
# configs/mask2former), the rest as on ADE20K.
_base_ = './ade20k_mask2former-160k.py'

param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 90000
train_cfg = dict(max_iters=90000, val_interval=9000)
