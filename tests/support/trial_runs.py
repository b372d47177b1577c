"""Evaluation runs drawn from a seed: what a model of some skill would have left behind, texts included.

Nothing here thinks. A question has a depth in tokens; InftyThink takes as many epochs for it as its eta makes of that,
and may lose its way in each; one chain goes as far as its limit, and gets worse the longer it is.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from inftythink_graph.evaluation.trials import AnswerKind, Question, Run, Trace, TraceEpoch, Trial, TrialStatus
from inftythink_graph.usage import add_usage, no_usage, request_usage

__all__ = ["HOSTILE", "example_runs", "question_set", "trial", "trial_run"]

HOSTILE = (
    "</script><img src=x onerror=alert(1)> | **bold** `code` \u202etfel\u202c \x1b[31m & \"quotes\" 'too'\nnew line"
)
"""Text that wants to be markup."""
_FAMILIES = ("collatz", "gcd", "product")
_SUBJECTS = ("Algebra", "Counting & Probability", "Geometry", "Number Theory")
_LETTERS = "ABCD"
_SUMMARY_TOKENS = 40
_TOKENS_PER_SECOND = 90.0


def question_set(
    number: int = 40, *, kind: AnswerKind = "math", seed: int = 0, deepest: int = 16_384, hostile: bool = False
) -> list[Question]:
    """Questions of a task, their depths spread evenly on a logarithmic scale up to ``deepest`` tokens."""
    rng = random.Random(f"questions {seed}")
    made = []
    for index in range(number):
        depth = round(64 * (deepest / 64) ** ((index + rng.random()) / number))
        gold = rng.choice(_LETTERS) if kind == "choice" else str(rng.randrange(2, 1000))
        text = f"Question {index}: what is left of {rng.randrange(1000, 9999)} after {depth // 16} steps?"
        if kind == "choice":
            text += "".join(f"\n({letter}) {rng.randrange(1000)}" for letter in _LETTERS)
        meta: dict[str, Any] = {
            "family": rng.choice(_FAMILIES),
            "subject": rng.choice(_SUBJECTS),
            "level": rng.randrange(1, 6),
            "depth_tokens": depth,
        }
        made.append(Question(f"q{index:03}", f"{text} {HOSTILE}" if hostile else text, gold, kind, meta))
    rng.shuffle(made)
    return made


def trial(
    question: str = "q",
    sample: int = 0,
    *,
    correct: bool = True,
    answer: str | None = "1",
    contexts: Sequence[Sequence[tuple[int, int]]] = (((10, 20),),),
    seconds: float = 1.0,
    **changes: Any,
) -> Trial:
    """One trial, with the usage that its contexts come to; ``changes`` go over the rest."""
    usage = no_usage()
    for prompt, completion in (pair for requests in contexts for pair in requests):
        usage = add_usage(usage, request_usage(prompt, completion))
    made = Trial(
        question=question,
        sample=sample,
        seed=sample,
        answer=answer,
        scoring="equal" if correct else "different",
        correct=correct,
        status="answered",
        forced=False,
        malformed=0,
        contexts=[list(requests) for requests in contexts],
        usage={**usage, "seconds": seconds},
        seconds=seconds,
    )
    return made | changes  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class _Thinker:
    """How well and in which steps a made-up model thinks."""

    method: Literal["inftythink", "vanilla"]
    eta: int
    max_epochs: int
    max_tokens: int
    skill: float

    def contexts(self, rng: random.Random, depth: int) -> tuple[list[list[tuple[int, int]]], TrialStatus, int]:
        """The requests of each epoch, how the run ends, and how many epochs are malformed."""
        prompt = rng.randrange(30, 60)
        needed = round(depth * rng.uniform(0.9, 1.3))
        if self.method == "vanilla":
            room = self.max_tokens - prompt
            return [[(prompt, min(needed, room))]], "cut" if needed > room else "answered", 0
        made: list[list[tuple[int, int]]] = []
        malformed = 0
        while needed > 0 and len(made) < self.max_epochs:
            segment = min(needed, round(self.eta * rng.uniform(0.75, 1.0)))
            needed -= segment
            sent = prompt + (_SUMMARY_TOKENS if made else 0)
            requests = [(sent, segment + (_SUMMARY_TOKENS if needed > 0 else 15))]
            if needed > 0 and rng.random() < 0.03:  # cut: the summary is asked for on its own
                requests = [(sent, segment), (sent + segment + 12, _SUMMARY_TOKENS)]
                malformed += rng.random() < 0.5
            made.append(requests)
        if needed <= 0:
            return made, "answered", malformed
        if len(made) > 4 and rng.random() < 0.3:
            return made[: rng.randrange(4, len(made))], "stalled", min(malformed, 4)
        return made, "exhausted", malformed

    def chance(self, depth: int, epochs: int) -> float:
        """How likely an answer at the end is right."""
        if self.method == "vanilla":
            return self.skill * max(1 - depth / (2.5 * self.max_tokens), 0.05)
        return float(self.skill * 0.992**epochs)


def _answer(rng: random.Random, question: Question, correct: bool) -> str:
    if correct:
        return question.gold
    if question.kind == "choice":
        return rng.choice([letter for letter in _LETTERS if letter != question.gold])
    return str(int(question.gold) + rng.choice([1, 1, 1, 2, 10]))  # wrong answers agree with one another, as they do


def _trace(rng: random.Random, made: Trial, hostile: bool) -> Trace:
    epochs: list[TraceEpoch] = []
    value = rng.randrange(1000, 9999)
    for index, requests in enumerate(made["contexts"]):
        last = index == len(made["contexts"]) - 1
        lines = min(max(sum(completion for _, completion in requests) // 24, 2), 12)
        segment = "\n".join(f"{value - 7 * line} - 7 = {value - 7 * line - 7}" for line in range(lines))
        value -= 7 * lines
        concluded = last and made["answer"] is not None
        kind = "conclusion" if concluded and not made["forced"] else "cut" if len(requests) > 1 or last else "summary"
        epoch = TraceEpoch(
            kind=kind,
            segment=f"{segment}\n{HOSTILE}" if hostile else segment,
            summary="" if last else f"After {(index + 1) * lines} steps {value} is left.",
            conclusion=f"What is left is \\boxed{{{made['answer']}}}." if concluded else "",
        )
        epochs.append(epoch)
    return Trace(question=made["question"], sample=made["sample"], epochs=epochs)


def trial_run(
    label: str = "inftythink",
    *,
    method: Literal["inftythink", "vanilla"] = "inftythink",
    task: str = "long_horizon",
    model: str = "bundled",
    questions: Sequence[Question] | None = None,
    samples: int = 4,
    eta: int = 128,
    max_epochs: int = 64,
    max_tokens: int = 1024,
    window: int = 512,
    skill: float = 0.97,
    seed: int = 0,
    traces: bool = True,
    hostile: bool = False,
    missing: int = 0,
) -> Run:
    """A run of a made-up model.

    Args:
        label, task, model: as the run calls them.
        method: one chain, or InftyThink.
        questions: those of :func:`question_set` by default.
        samples: trials for each question.
        eta, max_epochs: of InftyThink.
        max_tokens: the limit of one chain.
        window: the context window of the model that thinks with InftyThink; that of one chain is its limit.
        skill: how often a short and easy question is answered rightly.
        seed: the same seed gives the same run.
        traces: keep the texts.
        hostile: put text that wants to be markup into the texts.
        missing: leave out that many trials, the last ones, as in a run that was cut short.
    """
    asked = list(question_set(hostile=hostile) if questions is None else questions)
    thinker = _Thinker(method, eta, max_epochs, max_tokens, skill)
    trials: list[Trial] = []
    kept: dict[tuple[str, int], Trace] = {}
    for question in asked:
        ease = random.Random(f"ease {question.id} {question.gold}").betavariate(4, 1)  # the same for every model
        for sample in range(samples):
            rng = random.Random(f"{seed} {label} {question.id} {sample}")
            depth = int(question.meta.get("depth_tokens", 1000))
            contexts, status, malformed = thinker.contexts(rng, depth)
            forced = status in ("exhausted", "stalled") and rng.random() < 0.6
            right = rng.random() < ease**0.5 * thinker.chance(depth, len(contexts)) * (0.15 if forced else 1)
            answer = _answer(rng, question, right) if status == "answered" or forced else None
            slow = rng.random() < 0.01 and not right and answer is not None
            generated = sum(completion for requests in contexts for _, completion in requests)
            made = trial(
                question.id,
                sample,
                correct=right and answer is not None,
                answer=answer,
                contexts=contexts,
                seconds=round(generated / _TOKENS_PER_SECOND * rng.uniform(0.8, 1.4) + 0.05, 3),
                seed=1000 * seed + sample,
                status=status,
                forced=forced,
                malformed=malformed,
                **({"scoring": "timed_out"} if slow else {}),
            )
            trials.append(made)
            if traces:
                kept[question.id, sample] = _trace(rng, made, hostile)
    if missing:
        trials = trials[:-missing]
        kept = {key: kept[key] for key in ((made["question"], made["sample"]) for made in trials) if key in kept}
    config: dict[str, Any] = {"method": method, "model": model, "samples": samples, "temperature": 0.7, "seed": seed}
    if method == "vanilla":
        limits = {"max_tokens": max_tokens, "window": max_tokens}
    else:
        limits = {"eta": eta, "max_epochs": max_epochs, "window": window}
    return Run(label, task, {**config, **limits}, asked, trials, kept)


def example_runs(
    *, task: str = "long_horizon", number: int = 60, samples: int = 4, kind: AnswerKind = "math", traces: bool = False
) -> list[Run]:
    """One chain, one chain with a longer window, and InftyThink with three values of eta, on the same questions."""
    questions = question_set(number, kind=kind, seed=1)
    common: dict[str, Any] = {"task": task, "questions": questions, "samples": samples, "traces": traces}
    return [
        trial_run("vanilla", method="vanilla", max_tokens=1024, **common),
        trial_run("vanilla, RoPE scaled", method="vanilla", max_tokens=4096, skill=0.8, **common),
        trial_run("inftythink, eta 64", eta=64, max_epochs=128, skill=0.93, **common),
        trial_run("inftythink, eta 128", eta=128, **common),
        trial_run("inftythink, eta 256", eta=256, max_epochs=48, skill=0.98, **common),
    ]
