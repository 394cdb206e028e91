# As coco_ms-800.py, for detectors of boxes alone: masks are not loaded, and
# the metric is of boxes.
_base_ = './coco_ms-800.py'

train_pipeline = _base_.train_pipeline
train_pipeline[1].with_mask = False
test_pipeline = _base_.test_pipeline
test_pipeline[2].with_mask = False
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(metric='bbox')
test_evaluator = val_evaluator
