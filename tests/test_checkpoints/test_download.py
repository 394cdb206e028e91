"""Downloads: whole, the file expected, or nothing."""
import hashlib
import io
import resource
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from hpvit_mm.checkpoints import download as module
from hpvit_mm.checkpoints import read_checkpoint
from hpvit_mm.checkpoints.download import download, file_name
from hpvit_mm.errors import UserError


def body(seed=0):
    stream = io.BytesIO()
    torch.manual_seed(seed)
    torch.save(dict(a=torch.randn(3000)), stream)
    return stream.getvalue()


class Server(ThreadingHTTPServer):
    """Serves one file at any name.

    Attributes:
        body: The file.
        tag: Its ETag; None for no such header.
        date: Its Last-Modified; None for no such header.
        ranges: Whether it understands requests for a part.
        cuts: After how many bytes the next answers break off.
        status: What it answers.
        kind: Its Content-Type.
        length: Whether it tells how long the file is.
        asked: The headers Range of the requests that came.
        hold: What an answer waits for, after its first byte.
    """
    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.body, self.tag, self.date = body(), '"one"', None
        self.ranges, self.cuts, self.status = True, [], 200
        self.kind, self.length, self.asked = 'application/binary', True, []
        self.hold = None

    def url(self, name='weights.pth'):
        return f'http://127.0.0.1:{self.server_address[1]}/models/{name}'


class Handler(BaseHTTPRequestHandler):

    def do_GET(self):
        server, asked = self.server, self.headers.get('Range')
        server.asked.append(asked)
        content, start, status = server.body, 0, server.status
        wanted = self.headers.get('If-Range') in (server.tag, server.date)
        if asked and server.ranges and wanted:
            start = int(asked[len('bytes='):-1])
            status = 206 if start < len(content) else 416
        self.send_response(status)
        for name, value in (('ETag', server.tag),
                            ('Last-Modified', server.date),
                            ('Content-Type', server.kind)):
            if value:
                self.send_header(name, value)
        if status == 416:
            self.send_header('Content-Range', f'bytes */{len(content)}')
            content = b''
        elif status == 206:
            self.send_header('Content-Range', f'bytes {start}-'
                             f'{len(content) - 1}/{len(content)}')
        content = content[start:]
        if server.length:
            self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        if server.hold:
            self.wfile.write(content[:1])
            server.hold.wait(20)
            content = content[1:]
        if server.cuts:
            content = content[:server.cuts.pop(0)]
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, args=(.01, ))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of downloads, torch's, within the test's own."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    return tmp_path / 'hub' / 'checkpoints'


def left(folder):
    """Names of what a download left, but for the lock."""
    return sorted(path.name for path in folder.iterdir()
                  if path.suffix != '.lock')


def interrupt(server, folder, at=1000):
    """Let a download end early, for good."""
    continues = server.ranges and (server.tag or server.date)
    server.cuts = [at, 0 if continues else at]
    with pytest.raises(UserError, match=f'{at} of {len(server.body)} bytes'):
        download(server.url())
    assert left(folder) == ['weights.pth.part', 'weights.pth.part.json']
    server.asked.clear()


def test_a_file_comes_once(server, folder, capsys):
    path = download(server.url())
    assert open(path, 'rb').read() == server.body
    assert path == str(folder / 'weights.pth')
    assert left(folder) == ['weights.pth']
    # no bar, where nobody watches it
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ['Downloading', 'Downloaded']
    assert download(server.url() + '?other=1') == path
    assert server.asked == [None]
    assert read_checkpoint(server.url())['a'].shape == (3000, )


def test_an_interrupted_download_is_continued(server, folder):
    interrupt(server, folder)
    path = download(server.url())
    assert server.asked == ['bytes=1000-']
    assert open(path, 'rb').read() == server.body


def test_by_date_where_there_is_no_strong_tag(server, folder):
    server.tag, server.date = 'W/"weak"', 'Wed, 21 Oct 2026 07:28:00 GMT'
    interrupt(server, folder)
    path = download(server.url())
    assert server.asked == ['bytes=1000-']
    assert open(path, 'rb').read() == server.body


def test_breaks_are_continued_at_once(server, folder):
    server.cuts = [1000, 2000, 3000]
    path = download(server.url())
    assert server.asked == [None, 'bytes=1000-', 'bytes=3000-', 'bytes=6000-']
    assert open(path, 'rb').read() == server.body


def test_a_server_that_knows_no_ranges(server, folder):
    server.ranges = False
    interrupt(server, folder)
    path = download(server.url())
    assert server.asked == ['bytes=1000-']
    assert open(path, 'rb').read() == server.body


def test_a_file_that_changed_meanwhile(server, folder):
    interrupt(server, folder)
    server.body, server.tag = body(seed=1), '"two"'
    path = download(server.url())
    assert server.asked == ['bytes=1000-']
    assert open(path, 'rb').read() == server.body


def test_a_changed_file_of_a_server_that_ignores_if_range(
        server, folder, monkeypatch):
    interrupt(server, folder)
    server.body, server.tag = body(seed=1), '"two"'
    monkeypatch.setattr(Handler, 'headers', property(
        lambda self: dict(self.parts, **{'If-Range': server.tag})
        if 'Range' in self.parts else self.parts, lambda self, parts:
        setattr(self, 'parts', parts)), raising=False)
    path = download(server.url())
    assert server.asked == ['bytes=1000-', None]
    assert open(path, 'rb').read() == server.body


def test_no_tag_no_part(server, folder):
    server.tag = None
    interrupt(server, folder)
    path = download(server.url())
    assert server.asked == [None]
    assert open(path, 'rb').read() == server.body


def test_a_part_of_another_address(server, folder):
    interrupt(server, folder)
    path = download(server.url('../others/weights.pth'))
    assert server.asked == [None]
    assert open(path, 'rb').read() == server.body


@pytest.mark.parametrize('extra, asked', [
    (b'', ['bytes={}-']), (b'more', ['bytes={}-', None])])
def test_a_part_that_is_complete_or_longer(extra, asked, server, folder):
    interrupt(server, folder)
    part = folder / 'weights.pth.part'
    part.write_bytes(server.body + extra)
    asked = [one and one.format(part.stat().st_size) for one in asked]
    path = download(server.url())
    assert server.asked == asked
    assert open(path, 'rb').read() == server.body


def test_no_length(server, folder):
    server.length = False
    path = download(server.url())
    assert open(path, 'rb').read() == server.body


# ------------------------------------------------------------------ hashes


def named(content):
    return f'vit-{hashlib.sha256(content).hexdigest()[:8]}.pth'


def test_the_right_hash(server, folder):
    digest = hashlib.sha256(server.body).hexdigest()
    assert download(server.url(), digest).endswith('weights.pth')
    assert download(server.url(), digest[:8].upper())  # of the copy
    name = named(server.body)
    assert download(server.url(name)).endswith(name)


@pytest.mark.parametrize('name, sha256', [
    ('weights.pth', 'f' * 64), ('weights.pth', 'f' * 8),
    (named(b'another'), None),
    (named(b'another').replace('.pth', '.pth.tar'), None)])
def test_the_wrong_hash(name, sha256, server, folder):
    with pytest.raises(UserError, match='not the file expected.*removed'):
        download(server.url(name), sha256)
    assert left(folder) == []


def test_a_given_hash_goes_before_that_in_the_name(server, folder):
    digest = hashlib.sha256(server.body).hexdigest()
    assert download(server.url(named(b'another')), digest)


def test_the_hash_of_a_copy(server, folder):
    path = download(server.url())
    with pytest.raises(UserError, match='delete this copy'):
        download(server.url(), 'f' * 64)
    assert open(path, 'rb').read() == server.body


@pytest.mark.parametrize('name', ['vit-20210131.pth', 'vit-base.pth',
                                  'vit-abcdefg0.pth', 'vit_0123abcd.pth'])
def test_names_without_a_hash(name, server, folder):
    assert download(server.url(name)).endswith(name)


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize('status, says', [
    (404, '404 Not Found'), (403, '403 Forbidden'),
    (503, '503 Service Unavailable'), (206, 'answers 206')])
def test_answers(status, says, server, folder):
    server.status = status
    with pytest.raises(UserError, match=f'{says}.*by other means'):
        download(server.url())
    assert left(folder) == []


def test_a_web_page(server, folder):
    server.kind = 'text/html; charset=utf-8'
    with pytest.raises(UserError, match='is a web page'):
        download(server.url())
    assert left(folder) == []


def test_a_server_that_says_nothing(server, folder, monkeypatch):
    monkeypatch.setattr(module, 'TIMEOUT', .1)
    server.hold = threading.Event()
    with pytest.raises(UserError, match='timed out.*by other means'):
        download(server.url())
    server.hold.set()


@pytest.mark.parametrize('url, says', [
    ('http://127.0.0.1:1/a.pth', 'refused.*by other means'),
    ('http://127.0.0.1:x/a.pth', 'by other means'),
    ('http://', 'names no file'), ('https://host/', 'names no file'),
    ('https://host/a/..', 'names no file')])
def test_addresses(url, says, folder, monkeypatch):
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with pytest.raises(UserError, match=says):
        read_checkpoint(url)


def test_a_folder_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'file'))
    with pytest.raises(UserError, match='cannot be written.*TORCH_HOME'):
        download(server.url())


def test_a_full_disk(server, folder):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(UserError, match='File too large.*by other means'):
            download(server.url())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    server.asked.clear()
    download(server.url())
    assert server.asked == ['bytes=5000-']


def test_a_damaged_copy(server, folder):
    server.body = b'\x00' * 100
    with pytest.raises(UserError, match='weights.pth .copy of http.*delete it'
                       '.*damaged'):
        read_checkpoint(server.url())


# --------------------------------------------------------- several processes


def test_several_at_once_download_once(server, folder, monkeypatch):
    server.hold = threading.Event()
    paths, said = [], []
    monkeypatch.setattr(module, '_say', said.append)
    threads = [threading.Thread(
        target=lambda: paths.append(download(server.url())))
        for _ in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while sum(text.startswith('Waiting') for text in said) < 2:
        assert time.monotonic() < deadline
        time.sleep(.01)
    server.hold.set()
    for thread in threads:
        thread.join()
    assert paths == [str(folder / 'weights.pth')] * 3
    assert open(paths[0], 'rb').read() == server.body
    assert server.asked == [None]


@pytest.mark.parametrize('rank', ['0', '1'])
def test_one_process_of_a_machine_downloads(rank, server, folder,
                                            monkeypatch):
    met = []
    monkeypatch.setattr(module, 'is_distributed', lambda: True)
    monkeypatch.setattr(module, 'barrier', lambda: met.append(1))
    monkeypatch.setenv('LOCAL_RANK', rank)
    if rank == '0':
        server.status = 404
        with pytest.raises(UserError, match='404'):
            download(server.url())
        server.status = 200
        download(server.url())
    else:
        with pytest.raises(UserError, match='first process'):
            download(server.url())
        assert server.asked == []
        folder.mkdir(parents=True)
        (folder / 'weights.pth').touch()
        download(server.url())
    assert len(met) == 2


@pytest.mark.parametrize('url, name', [
    ('https://host/a/b.pth?x=/y', 'b.pth'),
    ('https://huggingface.co/facebook/vit-mae-base/resolve/main/model.'
     'safetensors?download=true',
     'facebook--vit-mae-base--main--model.safetensors'),
    ('https://host/%2e%2e%2fb.pth', '%2e%2e%2fb.pth')])
def test_names(url, name):
    assert file_name(url) == name
