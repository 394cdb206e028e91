# COCO 2017 instances with large-scale jitter at 640 x 640 pixels, as MAE-Lite
# trains small ViTs (wangsr126/MAE-Lite, DETECTION.md).
_base_ = './coco_lsj-1024.py'

image_size = (640, 640)
train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = image_size
train_pipeline[3].crop_size = image_size
train_pipeline[6].size = image_size
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = image_size
train_dataloader = dict(
    dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
