_base_ = './common.py'

default_scope = 'mmpretrain'
default_hooks = dict(
    visualization=dict(type='VisualizationHook', enable=False))
visualizer = dict(
    type='UniversalVisualizer', vis_backends=_base_.vis_backends,
    name='visualizer')
log_processor = dict(by_epoch=True)
