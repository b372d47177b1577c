"""Where the summarizer waits, leaves out or gives up: servers that falter, windows that are too small."""

from __future__ import annotations

from itertools import pairwise

import pytest
from langchain_core.exceptions import ContextOverflowError
from scripted_summarizer import SEGMENT, Ran, Summarizer, words

from inftythink_graph.errors import ServerUnavailableError
from inftythink_graph.models.transport import is_transport_error


def test_transport_errors_are_waited_out_and_are_no_attempts(ran: Ran) -> None:
    model = Summarizer(script=[ConnectionError("reset"), TimeoutError("slow"), "S1", "S2", "S3"])
    result = ran(model)
    assert (result["summaries"], result["attempts"]) == (["S1", "S2", "S3"], [1, 1, 1])
    assert [options["seed"] for _, options in model.calls] == [0] * 5


def test_a_server_that_never_answers_fails_the_example_with_its_words(ran: Ran) -> None:
    model = Summarizer(script=["S1", ConnectionError("connection\nrefused")])
    result = ran(model, transport_tries=3)
    assert (result["status"], result["defect"], len(model.calls)) == ("failed", "transport", 4)
    assert result["reason"] == "segment 2 of 4: no reply in 3 tries: connection refused"


def test_errors_that_would_hit_every_example_are_raised(ran: Ran) -> None:
    for error in (PermissionError("bad key"), ServerUnavailableError("the server refuses the API key")):
        model = Summarizer(script=[error])
        with pytest.raises(type(error)):
            ran(model)
        assert len(model.calls) == 1
    assert not is_transport_error(ValueError("x"))


def test_a_request_that_the_server_finds_too_long_fails_the_example(ran: Ran) -> None:
    result = ran(Summarizer(script=[ContextOverflowError("at most 10 tokens")]))
    assert (result["status"], result["defect"]) == ("failed", "window")
    assert "at most 10 tokens" in result["reason"]


@pytest.mark.parametrize("counts", [True, False])
def test_what_does_not_fit_is_left_out_and_every_request_stays_inside(ran: Ran, counts: bool) -> None:
    segments = [f"part-{number} {SEGMENT * 2}" for number in range(30)]
    window = 700 if counts else 2400
    model = Summarizer(script=["S"], window=window, counts=counts)
    result = ran(model, {"question": "q", "segments": segments})
    assert len(result["summaries"]) == 29
    sizes = [sum(words([str(message.content) for message in messages])) for messages, _ in model.calls]
    assert max(sizes) + 8 <= window
    assert "part-0 " not in str(model.calls[-1][0])
    assert "part-28 " in str(model.calls[-1][0])
    prompts = [[message.content for message in messages] for messages, _ in model.calls]
    extended = sum(after[: len(before)] == before for before, after in pairwise(prompts))
    assert 29 - extended - 1 < 15  # cuts are the exception


def test_the_smaller_of_the_two_windows_counts(ran: Ran) -> None:
    example = {"question": "q", "segments": [f"part-{number}- {SEGMENT}" for number in range(12)]}
    for options, own in (({"window": 500}, 100_000), ({"window": 100_000}, 500), ({}, 500)):
        model = Summarizer(script=["S"], window=own)
        assert ran(model, example, **options)["status"] == "done"
        assert "part-0-" not in str(model.calls[-1][0])
    unbounded = Summarizer(script=["S"])
    ran(unbounded, example)
    assert "part-0-" in str(unbounded.calls[-1][0])


def test_a_window_that_holds_not_even_one_segment_fails_before_a_request(ran: Ran) -> None:
    model = Summarizer(script=["S"], window=100)
    result = ran(model)
    assert (result["status"], result["defect"], model.calls) == ("failed", "window", [])
    assert "segment 1 of 4" in result["reason"]
    assert "window of 100" in result["reason"]
