_base_ = './common.py'

default_scope = 'mmseg'
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=8000),
    visualization=dict(type='SegVisualizationHook'))
visualizer = dict(
    type='SegLocalVisualizer', vis_backends=_base_.vis_backends,
    name='visualizer')
log_processor = dict(by_epoch=False)

# For test-time augmentation, with the tta_pipeline of the data set.
tta_model = dict(type='SegTTAModel')
