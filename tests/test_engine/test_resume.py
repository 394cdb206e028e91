"""Which checkpoint a run starts from."""
import pytest
from mmengine.config import Config

from hpvit_mm.engine import resume
from hpvit_mm.engine.arguments import NEWEST
from hpvit_mm.engine.resume import newest_checkpoint, resume_from
from hpvit_mm.errors import UserError


@pytest.fixture
def cfg(tmp_path):
    return Config(dict(work_dir=str(tmp_path), load_from='pretrained.pth'))


def write(folder, *names, pointer=None):
    for name in names:
        (folder / name).touch()
    if pointer is not None:
        (folder / 'last_checkpoint').write_text(str(pointer))


def test_fresh_start(cfg):
    resume_from(cfg, None)
    assert 'resume' not in cfg and cfg.load_from == 'pretrained.pth'


def test_nothing_to_resume_from(cfg, monkeypatch):
    said = []
    monkeypatch.setattr(resume, 'print_log',
                        lambda text, **_: said.append(text))
    resume_from(cfg, NEWEST)
    assert cfg.resume is False and cfg.load_from == 'pretrained.pth'
    assert 'starting from scratch' in said[0]


@pytest.mark.parametrize('name', ['epoch_1.pth', 'iter_10.pth'])
def test_a_fresh_start_overwrites_nothing(name, cfg, tmp_path):
    write(tmp_path, name)
    with pytest.raises(UserError, match='--resume'):
        resume_from(cfg, None)
    resume_from(cfg, NEWEST)
    assert cfg.load_from == str(tmp_path / name)


def test_newest_is_what_the_pointer_names(tmp_path):
    write(tmp_path, 'epoch_1.pth', 'epoch_2.pth',
          pointer=tmp_path / 'epoch_1.pth')
    assert newest_checkpoint(tmp_path).name == 'epoch_1.pth'


@pytest.mark.parametrize('pointer', ['/moved/away/epoch_9.pth', '', None])
def test_a_useless_pointer(pointer, tmp_path):
    write(tmp_path, 'epoch_9.pth', 'epoch_10.pth', 'best_top1_epoch_99.pth',
          pointer=pointer)
    expected = 'epoch_9.pth' if pointer else 'epoch_10.pth'
    assert newest_checkpoint(tmp_path) == tmp_path / expected


def test_named_checkpoint(cfg, tmp_path):
    write(tmp_path, 'a.pth')
    resume_from(cfg, str(tmp_path / 'a.pth'))
    assert cfg.resume is True and cfg.load_from.endswith('a.pth')
    with pytest.raises(UserError, match='b.pth'):
        resume_from(cfg, str(tmp_path / 'b.pth'))


def test_resume_of_the_config(cfg, tmp_path):
    write(tmp_path, 'pretrained.pth')
    cfg.update(resume=True, load_from=str(tmp_path / 'pretrained.pth'))
    resume_from(cfg, None)
    assert cfg.resume is True and cfg.load_from.endswith('pretrained.pth')
