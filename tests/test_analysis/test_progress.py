"""What the screen says: the log, the time left, the lines."""
import io

import pytest

from hpvit_mm.analysis.progress import (LogReader, Screen, TimeLeft, about,
                                        clock)

HEAD = '11/21 03:23:48 - mmengine - INFO - '
TRAIN = (HEAD + 'Epoch(train)  [2][20/45]  base_lr: 1.0e-03 lr: 1.0e-03  '
         'eta: 0:02:05  time: 0.1  data_time: 0.01  loss: 0.8125  '
         'loss_cls: 0.5\n')
VAL = HEAD + 'Epoch(val) [2][12/12]    accuracy/top1: 61.2500  time: 0.1\n'


def test_log_of_a_training(tmp_path):
    path = tmp_path / 'log'
    path.write_text('the log of an earlier attempt\n' + TRAIN)
    reader = LogReader(path, 'accuracy/top1')
    reader.update()
    assert reader.loss is None  # only what comes now counts
    with open(path, 'a') as file:
        file.write('loss: 7\n' + TRAIN + VAL + 'Epoch(train)  [2][40/4')
    reader.update()
    assert reader.loss == 0.8125 and reader.value == 61.25
    assert reader.seconds_left() == pytest.approx(125, abs=1)
    with open(path, 'a') as file:
        file.write('5]  eta: 1 day, 0:00:10  loss: 0.5\n')
    reader.update()
    assert reader.loss == 0.5
    assert reader.seconds_left() == pytest.approx(86410, abs=1)


def test_log_of_an_iteration_loop(tmp_path):
    path = tmp_path / 'log'
    path.touch()
    reader = LogReader(path, 'mIoU')
    path.write_text(HEAD + 'Iter(train) [ 50/300]  lr: 1e-3  eta: 0:00:50  '
                    'loss: 1.5\n' + HEAD + 'Iter(val) [50/60]    eta: '
                    '0:00:01  time: 0.1\n' + HEAD + 'Iter(val) [60/60]    '
                    'aAcc: 90.0  mIoU: 45.5000  mAcc: 1.0\n')
    reader.update()
    assert reader.value == 45.5
    # of the training, not of the validation within it
    assert reader.seconds_left() == pytest.approx(50, abs=1)


def test_time_left_starts_with_the_table():
    assert TimeLeft(dict(a=10, b=100)).left() == pytest.approx(110)


def test_finished_steps_scale_the_rest():
    left = TimeLeft(dict(a=300, b=300))
    left.finish('a', 600)
    assert 500 < left.left() < 600
    fast = TimeLeft(dict(a=300, b=300))
    fast.finish('a', 150)
    assert 150 < fast.left() < 200


def test_one_quick_step_does_not_decide():
    left = TimeLeft(dict(a=1, b=600))
    left.finish('a', 10)  # ten times slower, but of what?
    assert left.left() < 900


def test_a_running_step_is_believed_in_time():
    left = TimeLeft(dict(a=100, b=100))
    early = left.left('a', elapsed=1, told=1000)
    late = left.left('a', elapsed=60, told=240)
    assert early < 400
    # 300 instead of 100 seconds, and so will be the next
    assert 240 + 200 < late < 240 + 300


def test_a_silent_step_that_takes_long_slows_the_rest():
    left = TimeLeft(dict(a=20, b=300))
    assert left.left('a', elapsed=200) > 600


def test_it_never_says_nothing_is_left():
    left = TimeLeft(dict(a=100))
    assert left.left('a', elapsed=1000) > 0
    assert left.left('a', elapsed=1000, told=0) == 0
    left.finish('a', 1000)
    assert left.left() == 0


@pytest.mark.parametrize('seconds, words', [
    (0, '10 s'), (31, '30 s'), (54, '50 s'), (55, '1 min'),
    (100, '2 min'), (601, '10 min')])
def test_about(seconds, words):
    assert about(seconds) == words


def test_clock():
    assert [clock(s) for s in (0, 61, 3661)] == ['0:00', '1:01', '1:01:01']


def test_a_file_gets_few_lines(monkeypatch):
    out, now = io.StringIO(), [100.]
    monkeypatch.setattr('time.monotonic', lambda: now[0])
    screen = Screen(3, out)
    screen.begin(2, 'train')
    for _ in range(45):
        now[0] += 1
        screen.progress(now[0] - 100, 300, 'loss 0.5')
    screen.end('0:45')
    assert out.getvalue().splitlines() == [
        '[ 2/3] train ...',
        '        0:20, 5 min left in all, loss 0.5',
        '        0:40, 5 min left in all, loss 0.5',
        '        0:45']


def test_a_terminal_gets_one_line_per_step():

    class Terminal(io.StringIO):

        def isatty(self):
            return True

    out = Terminal()
    screen = Screen(3, out)
    screen.begin(2, 'train')
    screen.progress(20, 300, 'loss 0.5')
    screen.end('0:45')
    assert out.getvalue().count('\n') == 1
    assert out.getvalue().endswith('\r\033[K[ 2/3] train  0:45\n')
