"""k-NN evaluation."""
import pytest
import torch
import torch.nn.functional as F

from hpvit_mm.engine.loops.knn import knn_scores


def test_the_vote_is_the_definition():
    torch.manual_seed(0)
    bank = F.normalize(torch.randn(50, 8), dim=1)
    queries = F.normalize(torch.randn(5, 8), dim=1)
    labels = torch.arange(50) % 3
    scores = knn_scores(queries, bank, labels, 7, 0.1)
    for query, score in zip(queries, scores):
        votes = torch.zeros(3)
        similarity = bank @ query
        for i in similarity.argsort(descending=True)[:7]:
            votes[labels[i]] += torch.exp(similarity[i] / 0.1)
        assert torch.allclose(score, votes / votes.sum(), atol=1e-6)


def test_an_image_of_the_bank_is_its_own_nearest():
    torch.manual_seed(0)
    bank = F.normalize(torch.randn(20, 16), dim=1)
    labels = torch.randperm(20)
    scores = knn_scores(bank, bank, labels, 1, 0.07)
    assert torch.equal(scores.argmax(dim=1), labels)


@pytest.mark.parametrize('processes', [2, 3])
def test_parts_of_processes_come_in_order(processes, monkeypatch):
    from hpvit_mm.engine.loops import knn
    number = 10
    rows = torch.arange(number).float().unsqueeze(1)
    padded = torch.cat([rows, rows])[:-(-number // processes) * processes]
    parts = [padded[rank::processes] for rank in range(processes)]
    monkeypatch.setattr(knn, 'get_world_size', lambda: processes)
    monkeypatch.setattr(knn, 'all_gather', lambda part: parts)
    assert torch.equal(knn._gather(parts[0], number), rows)
