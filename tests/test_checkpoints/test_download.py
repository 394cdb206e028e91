"""Downloads: complete, the expected file, or nothing."""
import hashlib
import io
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from hpvit_mm.checkpoints import download as module
from hpvit_mm.checkpoints import read_checkpoint
from hpvit_mm.checkpoints.download import download, file_name
from hpvit_mm.errors import UserError


class Server(ThreadingHTTPServer):
    """Serves one file at any URL.

    Attributes:
        body: The file.
        status: Status of the answers.
        cut: After how many bytes an answer breaks off; None for never.
        requests: Number of requests.
        hold: Event that an answer waits for, after its first byte.
    """
    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        stream = io.BytesIO()
        torch.save(dict(a=torch.randn(3000)), stream)
        self.body, self.status, self.cut = stream.getvalue(), 200, None
        self.requests, self.hold = 0, None

    def handle_error(self, request, client_address):
        """The client may have gone."""

    def url(self, name='weights.pth'):
        return f'http://127.0.0.1:{self.server_address[1]}/models/{name}'


class Handler(BaseHTTPRequestHandler):

    def do_GET(self):
        server = self.server
        server.requests += 1
        self.send_response(server.status)
        self.send_header('Content-Length', str(len(server.body)))
        self.end_headers()
        self.wfile.write(server.body[:1])
        if server.hold:
            server.hold.wait(20)
        self.wfile.write(server.body[1:server.cut])

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
    """Names of what a download left, except for the lock."""
    return sorted(path.name for path in folder.iterdir()
                  if path.suffix != '.lock')


def test_a_file_is_downloaded_once(server, folder):
    path = download(server.url())
    assert open(path, 'rb').read() == server.body
    assert left(folder) == ['weights.pth']
    assert download(server.url() + '?other=1') == path
    assert read_checkpoint(server.url())['a'].shape == (3000, )
    assert server.requests == 1


def test_processes_download_once(server, folder, capfd):
    server.hold = threading.Event()
    paths = []
    threads = [threading.Thread(
        target=lambda: paths.append(download(server.url())))
        for _ in range(3)]
    for thread in threads:
        thread.start()
    deadline, said = time.monotonic() + 20, ''
    while said.count('waiting') < 2:
        assert time.monotonic() < deadline
        time.sleep(.01)
        said += capfd.readouterr().err
    server.hold.set()
    for thread in threads:
        thread.join()
    assert paths == [str(folder / 'weights.pth')] * 3
    assert server.requests == 1


def test_a_broken_connection_leaves_nothing(server, folder):
    """torch.hub takes what came for the whole file."""
    server.cut = 1000
    with pytest.raises(UserError, match='damaged'):
        download(server.url())
    assert left(folder) == []
    server.cut = None
    assert download(server.url())


def named(content):
    return f'vit-{hashlib.sha256(content).hexdigest()[:8]}.pth'


def test_the_right_hash(server, folder):
    digest = hashlib.sha256(server.body).hexdigest()
    assert download(server.url(), digest).endswith('weights.pth')
    assert download(server.url(), digest[:8].upper())  # of the copy
    assert download(server.url(named(server.body)))
    assert download(server.url('vit-20210131.pth'))  # a date
    # the hash that is given goes before that in the name
    assert download(server.url(named(b'another')), digest)


@pytest.mark.parametrize('name, sha256', [
    ('weights.pth', 'f' * 64), (named(b'another'), None)])
def test_the_wrong_hash(name, sha256, server, folder):
    with pytest.raises(UserError, match='not the expected file.*removed'):
        download(server.url(name), sha256)
    assert left(folder) == []


def test_the_wrong_hash_of_a_copy(server, folder):
    path = download(server.url())
    with pytest.raises(UserError, match='delete this copy'):
        download(server.url(), 'f' * 64)
    assert open(path, 'rb').read() == server.body


@pytest.mark.parametrize('status, says', [
    (404, '404 Not Found'), (403, 'gated.*licence'),
    (503, '503 Service Unavailable')])
def test_answers(status, says, server, folder):
    server.status = status
    with pytest.raises(UserError, match=f'{says}.*by other means'):
        download(server.url())
    assert left(folder) == []


def test_a_web_page(server, folder):
    server.body = b'<html>log in first</html>'
    with pytest.raises(UserError, match='is a web page'):
        download(server.url())
    assert left(folder) == []


def test_a_silent_server(server, folder, monkeypatch):
    monkeypatch.setattr(module, 'TIMEOUT', .1)
    server.hold = threading.Event()
    with pytest.raises(UserError, match='timed out.*by other means'):
        download(server.url())
    server.hold.set()


@pytest.mark.parametrize('url, says', [
    ('http://127.0.0.1:1/a.pth', 'refused.*by other means'),
    ('http://127.0.0.1:x/a.pth', 'by other means'),
    ('https://host/', 'names no file'), ('https://host/a/..', 'no file'),
    ('hf://model', 'names no model')])
def test_urls(url, says, folder, monkeypatch):
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with pytest.raises(UserError, match=says):
        read_checkpoint(url)


def test_a_folder_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'file'))
    with pytest.raises(UserError, match='cannot be written.*TORCH_HOME'):
        download(server.url())


@pytest.mark.parametrize('url, name', [
    ('https://host/a/b.pth?x=/y', 'b.pth'),
    ('https://huggingface.co/facebook/vit-mae-base/resolve/main/model.'
     'safetensors?download=true',
     'facebook--vit-mae-base--main--model.safetensors'),
    ('https://host/%2e%2e%2fb.pth', '%2e%2e%2fb.pth')])
def test_names(url, name):
    assert file_name(url) == name


def test_the_hub(tmp_path, monkeypatch):
    """A model that is in Hugging Face's cache already."""
    constants = pytest.importorskip('huggingface_hub.constants')
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    model = tmp_path / 'models--owner--vit'
    snapshot = model / 'snapshots' / ('a' * 40)
    for path, text in ((model / 'refs' / 'main', 'a' * 40),
                       (snapshot / 'config.json', '{"hidden_size": 4}')):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    torch.save(dict(a=torch.ones(1)), snapshot / 'vit.pth')
    assert read_checkpoint('hf://owner/vit/vit.pth')['a'] == 1
    (snapshot / 'vit.pth').rename(snapshot / 'pytorch_model.bin')
    content = read_checkpoint('hf://owner/vit@main')
    assert content['config'] == dict(hidden_size=4)
    with pytest.raises(UserError, match='licence.*hf auth login'):
        read_checkpoint('hf://owner/other')
