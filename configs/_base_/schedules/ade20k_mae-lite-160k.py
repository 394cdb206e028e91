# MAE-Lite's schedule for ViT-Tiny with Semantic FPN (wangsr126/MAE-Lite,
# SEGMENTATION.md): AdamW 1e-4, weight decay 0.05, layer decay 0.8, batches of
# 16. Warm-up and decay of the rate are those of ade20k_160k.py.
_base_ = './ade20k_160k.py'

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
