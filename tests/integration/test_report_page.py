"""The report's page in a real browser, opened from disk as a reader would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from browser import Visitor, browser, opened
from playwright.sync_api import Browser, Error
from trial_runs import HOSTILE, example_runs, question_set, trial, trial_run

from inftythink_graph.evaluation.report.page import write_page
from inftythink_graph.evaluation.trials import Question, Run, Trace, Trial

WIDE = {"width": 1300, "height": 850}
PHONE = {"width": 360, "height": 740}
NASTY = (
    f"{HOSTILE}<script>window.hit=1</script><img src=http://192.0.2.1/a.png onerror=window.hit=2>"
    "<svg onload=window.hit=3><!--<script>\u2028\u2029\0\r\x1b]0;\x07 \ud800 $\\frac{1}{2}$ &amp; "
    "\u2067\u05e9\u05dc\u05d5\u05dd\u2069 \u200f a\u200b\u200bb"
)
SPELLED = ("U+2028", "U+0000", "U+D800", "U+202E", "U+2067", "U+200B")
ROWS = "#sheet li"
TABLE = [["method", "mean@2"], ["vanilla", "41.0 ± 2.0"], ["inftythink, eta 128", "67.9 ± 2.1"]]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@dataclass(frozen=True)
class Report:
    """A page on disk and what it was made of."""

    path: Path
    runs: list[Run]

    @property
    def trials(self) -> list[tuple[Run, Trial]]:
        """All trials, in the page's order."""
        return [(run, made) for run in self.runs for made in run.trials]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Six runs of two tasks, with a table and a picture."""
    from matplotlib.figure import Figure

    folder = tmp_path_factory.mktemp("report")
    figure = Figure(figsize=(4, 3))
    figure.subplots().plot([1, 2, 3], [0.2, 0.5, 0.9])
    figure.savefig(folder / "accuracy.svg")
    choice = trial_run("vanilla", method="vanilla", task="choice", questions=question_set(5, kind="choice"), samples=2)
    report = Report(folder / "page.html", [*example_runs(number=12, samples=2, traces=True), choice])
    write_page(report.runs, report.path, main_table=TABLE, pictures=[("Accuracy", folder / "accuracy.svg")])
    return report


@contextmanager
def reading(chromium: Browser, path: Path, address: str = "", **options: Any) -> Iterator[Visitor]:
    """The page, ready to be read; whatever it asks for or complains about fails the test."""
    with opened(chromium, path.as_uri() + address, **{"viewport": WIDE, **options}) as visitor:
        dialogs: list[str] = []
        visitor.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        visitor.page.wait_for_selector("body[data-ready]", state="attached")
        yield visitor
        assert visitor.complaints == []
        asked = {url.partition("#")[0] for url in visitor.requests if not url.startswith("data:")}
        assert asked == {path.as_uri()}
        assert dialogs == []
        assert visitor.page.evaluate("window.hit") is None


def address(run: str, made: Trial) -> str:
    return f"#{quote(run, safe='')}/{quote(made['question'], safe='')}/{made['sample']}"


def opened_trial(visitor: Visitor) -> str:
    """The heading of the open trial, once it is the one of the page's address."""
    visitor.page.wait_for_function(
        "() => decodeURIComponent(location.hash).endsWith(document.querySelector('#trial h2')"
        "?.textContent.replace(' sample ', '/'))"
    )
    return visitor.page.locator("#trial h2").inner_text()


def counted(visitor: Visitor, expected: int, total: int) -> None:
    """Wait until the list says how many trials it holds."""
    said = f"{expected:,} of {total:,} trials" if expected != total else f"{total:,} trials"
    visitor.page.wait_for_function("said => document.querySelector('#count').textContent.startsWith(said)", arg=said)


def test_the_overview_shows_results_runs_and_pictures(chromium: Browser, report: Report) -> None:
    with reading(chromium, report.path) as visitor:
        page = visitor.page
        assert page.locator("#overview table tr").count() == len(TABLE)
        assert page.locator("#overview table td").last.inner_text() == "67.9 ± 2.1"
        assert page.locator(".run-card").count() == len(report.runs)
        assert page.evaluate("document.querySelector('#overview img').naturalWidth") > 0
        right = sum(made["correct"] for made in report.runs[0].trials)
        assert page.locator(".run-card").first.locator(".piece.right").get_attribute("title") == f"{right} right"
        # A piece of a bar leads to its trials.
        page.locator(".run-card").first.locator(".piece.right").click()
        visitor.page.wait_for_function("() => location.hash === '#trials'")
        counted(visitor, right, len(report.trials))
        page.locator("nav").get_by_text("Overview").click()
        # So does a cell of the map: the first column is the question most often answered rightly.
        page.locator(".map svg").first.click(position={"x": 3, "y": 3})
        opened_trial(visitor)
        page.locator("nav").get_by_text("Overview").click()
        page.locator(".zoom").click()
        assert page.locator("#picture img").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("#picture img").is_visible()


def test_filters_search_and_order(chromium: Browser, report: Report) -> None:
    with reading(chromium, report.path, "#trials") as visitor:
        page, total = visitor.page, len(report.trials)
        counted(visitor, total, total)
        wrong = [made for _, made in report.trials if not made["correct"]]
        page.select_option("#verdict", "wrong")
        counted(visitor, len(wrong), total)
        page.select_option("#status", "cut")
        counted(visitor, sum(made["status"] == "cut" for made in wrong), total)
        page.click("#reset")
        counted(visitor, total, total)
        page.select_option("#task", "choice")
        counted(visitor, len(report.runs[-1].trials), total)
        page.select_option("#run", "vanilla")
        counted(visitor, len(report.runs[-1].trials), total)
        page.select_option("#task", "")
        counted(visitor, len(report.runs[0].trials) + len(report.runs[-1].trials), total)
        page.click("#reset")
        question = report.runs[0].questions[3]
        page.fill("#text", f"LEFT  {question.id}")
        counted(visitor, sum(made["question"] == question.id for _, made in report.trials), total)
        page.fill("#text", "nothing has this")
        counted(visitor, 0, total)
        page.click("#reset")
        for name, key in (("tokens", "completion_tokens"), ("peak", "peak_context")):
            page.select_option("#sort", name)
            spent = [made["usage"][key] for _, made in report.trials]  # type: ignore[literal-required]
            page.locator(f'{ROWS}[aria-posinset="1"][data-trial="{spent.index(max(spent))}"]').wait_for()
            page.click("#direction")
            page.locator(f'{ROWS}[aria-posinset="1"][data-trial="{spent.index(min(spent))}"]').wait_for()


def test_keys_and_links_lead_from_trial_to_trial(chromium: Browser, report: Report) -> None:
    run = report.runs[3]
    question = run.questions[0].id
    with reading(chromium, report.path, address(run.label, run.trials[0])) as visitor:
        page = visitor.page
        assert opened_trial(visitor) == f"{question} sample 0"
        assert run.label in page.locator(".crumbs").inner_text()
        for key, expected in (("j", 1), ("ArrowLeft", 0), ("]", 1), ("[", 0), ("[", 0), ("ArrowRight", 1), ("k", 0)):
            page.keyboard.press(key)
            page.wait_for_function("end => location.hash.endsWith(end)", arg=f"/{question}/{expected}")
            assert opened_trial(visitor) == f"{question} sample {expected}"
        assert page.locator(f"{ROWS} a[aria-current]").count() == 1
        page.keyboard.press("r")
        page.wait_for_function(
            "start => decodeURIComponent(location.hash).startsWith(start)", arg=f"#{report.runs[4].label}/"
        )
        opened_trial(visitor)
        page.go_back()
        page.wait_for_function("start => decodeURIComponent(location.hash).startsWith(start)", arg=f"#{run.label}/")
        # Cards of the other runs, chips of the other samples.
        assert page.locator(".others > .other").count() == sum(each.task == run.task for each in report.runs)
        page.locator(".others > .other.own .chip").nth(1).click()
        page.wait_for_function("end => location.hash.endsWith(end)", arg=f"/{question}/1")
        assert opened_trial(visitor) == f"{question} sample 1"
        page.locator(".others > .other").first.locator(".compare").click()
        page.wait_for_function("hash => location.hash === hash", arg=address("vanilla@long_horizon", run.trials[1]))
        page.keyboard.press("/")
        page.keyboard.type("jjj")
        counted(visitor, 0, len(report.trials))
        assert page.locator("#text").input_value() == "jjj"
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        assert page.locator("#keys").is_visible()


def test_an_address_of_no_trial_says_so(chromium: Browser, report: Report) -> None:
    for wrong in ("#vanilla/none/0", "#a/%/<img src=x>"):
        with reading(chromium, report.path, wrong) as visitor:
            visitor.page.locator("#trouble").wait_for()
            assert "no trial" in visitor.page.locator("#trouble").inner_text()
            assert visitor.page.locator("#overview").is_visible()


def test_a_trial_shows_all_of_it(chromium: Browser, report: Report) -> None:
    run = report.runs[2]
    made = max(run.trials, key=lambda each: len(each["contexts"]))
    trace = run.traces[made["question"], made["sample"]]
    with reading(chromium, report.path, address(run.label, made)) as visitor:
        page = visitor.page
        opened_trial(visitor)
        asked = next(each for each in run.questions if each.id == made["question"])
        assert asked.text in page.locator("#trial section").first.inner_text()
        assert page.locator(".gold .prose").inner_text() == asked.gold
        assert page.locator(".given").inner_text().endswith(made["answer"] or "no answer")
        assert f"{made['usage']['completion_tokens']:,}" in page.locator(".usage").inner_text()
        # Two points for each request, from its prompt to its end.
        pairs = [pair for requests in made["contexts"] for pair in requests]
        points = (page.locator(".sawtooth polyline.curve").get_attribute("points") or "").split()
        assert len(points) == 2 * len(pairs) > 20
        heights = [-float(point.split(",")[1]) for point in points]
        contexts = [tokens for prompt, completion in pairs for tokens in (prompt, prompt + completion)]
        scale = (max(heights) - min(heights)) / (max(contexts) - min(contexts))
        for height, tokens in zip(heights, contexts, strict=True):
            assert height - min(heights) == pytest.approx(scale * (tokens - min(contexts)), abs=0.2)
        assert page.locator(".sawtooth line.window").count() == 1
        assert f"context window {run.config['window']}" in page.locator(".sawtooth svg").text_content()  # type: ignore[operator]
        # Every epoch with its parts; the first and the last are open.
        opens = page.locator("details.epoch").evaluate_all("all => all.map((each) => each.open)")
        assert opens == [True, *[False] * (len(trace["epochs"]) - 2), True]
        for number, name in ((0, "segment"), (0, "summary"), (len(opens) - 1, "segment")):
            shown = page.locator(f"#epoch-{number} .part.{name} .prose").inner_text()
            assert shown == trace["epochs"][number][name]  # type: ignore[literal-required]
        page.keyboard.press("e")
        assert all(page.locator("details.epoch").evaluate_all("all => all.map((each) => each.open)"))
        page.keyboard.press("e")
        assert not any(page.locator("details.epoch").evaluate_all("all => all.map((each) => each.open)"))
        # A tooth leads to its epoch.
        page.locator(".sawtooth svg").click(position={"x": 60, "y": 120})
        page.wait_for_function("() => document.querySelector('#epoch-0').open")


def hostile_run() -> Run:
    """Text that wants to be more than text, wherever text can be; and megabytes of it in one line."""
    questions = [Question(f"q {NASTY}", NASTY, NASTY, meta={NASTY: NASTY}), Question("long", "x" * 3_000_000, "1")]
    long: Trace = {
        "question": "long",
        "sample": 0,
        "epochs": [
            {"kind": "conclusion", "segment": "\u202e\0y" * 1_000_000, "summary": "", "conclusion": "z" * 500_000}
        ],
    }
    nasty: Trace = {
        "question": questions[0].id,
        "sample": 0,
        "epochs": [{"kind": NASTY, "segment": NASTY, "summary": NASTY, "conclusion": NASTY}],
    }
    trials = [trial(questions[0].id, answer=NASTY), trial("long", answer="9" * 200_000, status=NASTY)]
    traces = {(each["question"], 0): each for each in (nasty, long)}
    return Run(f"run {NASTY}", f"task {NASTY}", {NASTY: NASTY, "model": NASTY}, questions, trials, traces)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "page.html"
    write_page([hostile_run(), trial_run(hostile=True, samples=1)], path, main_table=[["a", NASTY], [NASTY, NASTY]])
    return path


def test_what_models_write_stays_text(chromium: Browser, hostile: Path) -> None:
    with reading(chromium, hostile) as visitor:
        page = visitor.page
        assert page.locator("#overview table td").inner_text().count("<script>") == NASTY.count("<script>")
        page.keyboard.press("t")
        opened_nasty = page.locator("#trial")
        opened_nasty.locator(".part").first.wait_for()
        for part in ("segment", "summary", "conclusion"):
            said = page.locator(f".part.{part} .prose").inner_text()
            assert "<script>window.hit=1</script><img src=http://192.0.2.1/a.png onerror=window.hit=2>" in said
            assert "$\\frac{1}{2}$ &amp;" in said
            assert all(each in said for each in SPELLED)
        assert page.locator("#trial :is(img, script, iframe, b, i, style, link)").count() == 0
        assert page.locator(ROWS).count() > 10
        assert page.locator("#sheet :is(img, script)").count() == 0
        page.keyboard.press("j")  # megabytes in one line
        page.get_by_text("Show more").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(
            "document.querySelector('#trial').scrollWidth <= document.querySelector('#trial').clientWidth"
        )
        before = page.locator("#trial section .prose").first.evaluate("each => each.textContent.length")
        page.get_by_text("Show more").first.click()
        assert page.locator("#trial section .prose").first.evaluate("each => each.textContent.length") > before


def test_the_browser_refuses_what_would_get_through(chromium: Browser, hostile: Path) -> None:
    with opened(chromium, hostile.as_uri(), viewport=WIDE) as visitor:
        page = visitor.page
        page.wait_for_selector("body[data-ready]", state="attached")
        assert visitor.complaints == []
        with pytest.raises(Error, match="TrustedHTML"):
            page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.hit=1>')")
        page.evaluate("document.body.append(Object.assign(new Image(), { src: 'http://192.0.2.1/a.png' }))")
        page.wait_for_timeout(300)
        assert any("Content Security Policy" in each for each in visitor.complaints)
        assert page.evaluate("fetch('http://192.0.2.1/').then(() => 'let through', () => 'refused')") == "refused"
        assert page.evaluate("window.hit") is None


def brightness(visitor: Visitor, selector: str, what: str) -> float:
    """0 for black, 1 for white."""
    color = visitor.page.locator(selector).first.evaluate(f"each => getComputedStyle(each).{what}")
    red, green, blue = (float(part) for part in color.removeprefix("rgb(").removesuffix(")").split(","))
    return (red + green + blue) / 765


def test_light_and_dark(chromium: Browser, report: Report) -> None:
    for scheme, dark in (("light", False), ("dark", True)):
        with reading(chromium, report.path, "#trials", color_scheme=scheme) as visitor:
            opened = ("body", ".list", ".answers .gold", ".sawtooth")
            visitor.page.locator(".sawtooth svg").wait_for()
            assert all((brightness(visitor, each, "backgroundColor") < 0.3) == dark for each in opened)
            assert (brightness(visitor, "#trial h2", "color") > 0.7) == dark
            assert (brightness(visitor, ".sawtooth .tick", "fill") > 0.5) == dark


def test_a_phone_shows_one_thing_at_a_time(chromium: Browser, report: Report, hostile: Path) -> None:
    fits = "document.documentElement.scrollWidth <= innerWidth"
    with reading(chromium, report.path, viewport=PHONE, has_touch=True) as visitor:
        page = visitor.page
        assert page.evaluate(fits)
        page.locator("nav").get_by_text("Trials").tap()
        page.locator(ROWS).nth(3).wait_for()
        assert not page.locator("#trial").is_visible()
        assert page.evaluate(fits)
        page.locator(f"{ROWS} a").nth(3).tap()
        page.locator(".sawtooth svg").wait_for()
        assert not page.locator("#rows").is_visible()
        assert page.evaluate(fits)
        page.locator(".back").tap()
        page.locator(f"{ROWS} a[aria-current]").wait_for()
    with reading(chromium, hostile, viewport=PHONE) as visitor:
        assert visitor.page.evaluate(fits)
        visitor.page.keyboard.press("t")
        visitor.page.locator(f"{ROWS} a").nth(1).click()
        visitor.page.get_by_text("Show more").first.wait_for()
        assert visitor.page.evaluate(fits)


def test_five_thousand_trials_stay_quick(chromium: Browser, tmp_path: Path) -> None:
    runs = [trial_run(label, questions=question_set(125), samples=20) for label in ("one", "two")]
    write_page(runs, tmp_path / "page.html", max_trajectories=100)
    with reading(chromium, tmp_path / "page.html", "#trials") as visitor:
        page = visitor.page
        counted(visitor, 5000, 5000)
        assert page.locator(ROWS).count() < 60
        page.locator("#rows").evaluate("each => { each.scrollTop = each.scrollHeight }")
        page.locator('li[aria-posinset="5000"]').wait_for()
        assert page.locator(ROWS).count() < 60
        # In the page's own time: what it takes from a key to the new list.
        spent = page.evaluate(
            """async () => {
                const box = document.querySelector("#text"), count = document.querySelector("#count");
                const took = [];
                for (const word of ["q01", "left q011", "none", ""]) {
                    const before = count.textContent, start = performance.now();
                    box.value = word;
                    box.dispatchEvent(new Event("input"));
                    await new Promise((done) => new MutationObserver(done).observe(count, { childList: true }));
                    took.push(performance.now() - start);
                }
                return took;
            }"""
        )
        assert max(spent) < 3000
        counted(visitor, 5000, 5000)
        # What was left out is said on the overview and at the trial.
        assert "texts of 100 of 5,000 trials; those of 4,900" in (
            page.locator("#overview .notice").text_content() or ""
        )
        made = runs[1].trials[-1]
        page.evaluate("hash => { location.hash = hash }", address("two", made))
        assert opened_trial(visitor) == f"{made['question']} sample {made['sample']}"
        assert "left out" in page.locator("#trial .notice").inner_text()
        assert page.locator(".sawtooth polyline.curve").count() == 1
        assert page.locator(".epoch").count() == len(made["contexts"])


def test_every_control_has_a_name_and_every_part_a_place(chromium: Browser, report: Report) -> None:
    with reading(chromium, report.path, "#trials") as visitor:
        page = visitor.page
        page.locator(".sawtooth svg").wait_for()
        tree = page.locator("body").aria_snapshot()
        for line in ("- banner", '- navigation "Views"', "- main", '- search "Filter trials"', 'article "Trial: '):
            assert line in tree
        for kind in ("button", "link", "combobox", "searchbox"):
            names = [line.split(kind, 1)[1] for line in tree.splitlines() if line.strip().startswith(f"- {kind}")]
            assert names
            assert all(name.strip().startswith('"') for name in names), kind
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_printed_trial_is_the_trial_alone(chromium: Browser, report: Report) -> None:
    with reading(chromium, report.path, "#trials", color_scheme="dark") as visitor:
        visitor.page.locator(".sawtooth svg").wait_for()
        visitor.page.emulate_media(media="print")
        assert not visitor.page.locator(".list").is_visible()
        assert not visitor.page.locator("header.top").is_visible()
        assert visitor.page.locator("#trial h2").is_visible()
        assert brightness(visitor, "body", "backgroundColor") == 1
        assert visitor.page.evaluate(
            "document.querySelector('#trial').scrollHeight <= document.querySelector('#trial').clientHeight"
        )
