# ImageNet-1K's validation images at 224 pixels, for models that are tested
# and not trained.
_base_ = './imagenet_224.py'

train_dataloader = None
val_dataloader = None
val_evaluator = None
