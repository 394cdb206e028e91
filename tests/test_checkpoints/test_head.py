"""The head of a fine-tuned checkpoint."""
import pytest
import torch
from torch import nn

from hpvit_mm.checkpoints import PretrainedHead
from hpvit_mm.errors import UserError


class Head(nn.Module):

    def __init__(self, channels=4, classes=3):
        super().__init__()
        self.fc = nn.Linear(channels, classes)


@pytest.mark.parametrize('names', [
    'head.{}', 'head.fc.{}', 'classifier.{}', 'module.model.head.{}'])
@pytest.mark.parametrize('entry', ['model', 'state_dict', None])
def test_it_is_found(names, entry, tmp_path):
    tensors = {names.format('weight'): torch.randn(3, 4),
               names.format('bias'): torch.randn(3),
               'blocks.0.mlp.fc1.weight': torch.randn(8, 4),
               'decoder_head.weight': torch.randn(3, 4)}
    torch.save({entry: tensors} if entry else tensors, tmp_path / 'x.pth')
    head = Head()
    PretrainedHead(str(tmp_path / 'x.pth'))(head)
    assert torch.equal(head.fc.weight, tensors[names.format('weight')])
    assert torch.equal(head.fc.bias, tensors[names.format('bias')])


def test_a_pre_trained_file_has_none(tmp_path):
    torch.save(dict(model={'blocks.0.norm1.weight': torch.ones(4)}),
               tmp_path / 'x.pth')
    with pytest.raises(UserError, match='no classification head.*fine-tuned'):
        PretrainedHead(str(tmp_path / 'x.pth'))(Head())


def test_another_number_of_classes(tmp_path):
    torch.save(Head().state_dict(), tmp_path / 'other.pth')
    torch.save({'head.weight': torch.ones(5, 4), 'head.bias': torch.ones(5)},
               tmp_path / 'x.pth')
    head = Head()
    before = head.fc.weight.clone()
    with pytest.raises(UserError, match=r'\(5, 4\).*\(3, 4\).*num_classes'):
        PretrainedHead(str(tmp_path / 'x.pth'))(head)
    assert torch.equal(head.fc.weight, before)
