"""The page is complete, escaped, self-contained, and the same every time."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.model import (
    CallError,
    CaseResult,
    Chain,
    Code,
    Curve,
    Diagnosis,
    ExerciseResult,
    Flag,
    NotebookSummary,
    Notice,
    Outcome,
    Report,
    Submission,
    WorstEntry,
)
from grader.reports.exercises import exercise_view
from grader.reports.html import render_html
from grader.reports.page import build_page
from grader.reports.svg import plot_curve
from grader.reports.words import CASES, LINKS, VERDICTS, clip, visible
from tests import report_samples
from tests.report_samples import SAMPLES, graded, missing_mask, mixed, odd, perfect, unreadable, without_views

VOID = {"meta", "img", "br", "hr", "link"}


class Parsed(HTMLParser):
    """A parsed page: its elements with attributes, its text and its style sheet; asserts that the tags balance."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.style = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module", params=sorted(SAMPLES))
def page(request: pytest.FixtureRequest) -> str:
    return render_html(SAMPLES[request.param]())


def test_a_report_is_one_self_contained_page(page: str) -> None:
    parsed = Parsed(page)

    assert page.startswith("<!doctype html>")
    assert not parsed.open
    assert parsed.all("html") == [{"lang": "en"}]
    assert len(parsed.all("title")) == len(parsed.all("h1")) == len(parsed.all("main")) == 1
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in parsed.elements}
    for tag, attributes in parsed.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], (tag, attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert "url(" not in parsed.style
    assert "@import" not in parsed.style


def test_the_policy_allows_only_this_style(page: str) -> None:
    parsed = Parsed(page)
    [policy] = [meta["content"] for meta in parsed.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(parsed.style.encode()).digest()).decode()

    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert {"name": "referrer", "content": "no-referrer"} in parsed.all("meta")


def test_every_link_leads_somewhere(page: str) -> None:
    parsed = Parsed(page)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]

    assert len(ids) == len(set(ids))
    assert {str(link["href"])[1:] for link in parsed.all("a")} <= set(ids)
    labels = {attributes["aria-labelledby"] for _, attributes in parsed.elements if "aria-labelledby" in attributes}
    assert labels <= set(ids)


def test_headings_tables_and_pictures_are_labelled(page: str) -> None:
    parsed = Parsed(page)
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch(r"h[1-6]", tag)]

    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(cell.get("scope") in ("row", "col") for cell in parsed.all("th"))
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert all(image["alt"] for image in parsed.all("img"))
    assert all(drawing["role"] in ("img", "group") and drawing["aria-label"] for drawing in parsed.all("svg"))


def test_the_same_report_gives_the_same_page() -> None:
    assert render_html(mixed()) == render_html(mixed())


@pytest.mark.parametrize("sample", sorted(SAMPLES))
def test_a_page_is_small(sample: str) -> None:
    assert len(render_html(SAMPLES[sample]()).encode()) < 200_000


# ---------------------------------------------------------------------------------------------------------- content


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_has_a_symbol_a_word_and_a_colour(outcome: Outcome) -> None:
    verdict = VERDICTS[outcome]
    points = 1.0 if outcome.passed else 0.0
    exercise = ExerciseResult(name="grad_w1", outcome=outcome, points=points, max_points=1.0)

    page = render_html(report_samples.report(exercise))

    badge = f'<span class="badge {verdict.kind}"><span class="symbol" aria-hidden="true">{verdict.symbol}</span>'
    assert page.count(f"{badge} {verdict.word}</span>") == 2, "in the overview and in the section"
    assert (' id="exercise-grad_w1" open>' in page) is (outcome is not Outcome.MATCH)
    assert ("costs no points" in page) is (outcome.passed is None)


def test_verdicts_can_be_read_without_colour() -> None:
    """No word stands for two kinds of verdict, and ✓ always means right."""
    kinds: dict[str, set[str]] = {}
    for verdict in (*VERDICTS.values(), *LINKS.values()):
        kinds.setdefault(verdict.word, set()).add(verdict.kind)

    assert all(len(kind) == 1 for kind in kinds.values())
    assert {v.symbol for v in VERDICTS.values() if v.kind == "right"} == {"✓"}


@pytest.mark.parametrize(
    ("report", "sentences"),
    [
        (perfect(), ("All 7 gradients are right.",)),
        (missing_mask(), ("6 of 7 gradients are right.", "Look again at: grad_z1.")),
        (
            odd(),
            (
                "None of the 6 gradients are right yet.",
                "Look again at: grad_yhat, grad_w2, grad_b2, grad_a1, grad_w1.",
                "Still to do: grad_b1.",
                "Could not be graded, which costs you no points: grad_z1.",
            ),
        ),
        (report_samples.report(graded("grad_w2")), ("The gradient is right.",)),
        (
            report_samples.report(graded("grad_w2", "    return dyhat"), without_views("grad_b2", Outcome.BLANK, "")),
            (
                "None of the 2 gradients are right yet.",
                "Look again at: grad_w2.",
                "Still to do: grad_b2.",
            ),
        ),
        (
            report_samples.report(graded("grad_w2", "    return dyhat")),
            ("The gradient is not right yet.", "Look again at: grad_w2."),
        ),
        (unreadable(), ()),
    ],
)
def test_summary(report: Report, sentences: tuple[str, ...]) -> None:
    assert build_page(report).summary == sentences


def test_the_score_leaves_out_exercises_that_could_not_be_graded() -> None:
    page = build_page(odd())
    ungraded = build_page(report_samples.report(without_views("grad_z1", Outcome.GRADER_ERROR, "")))

    assert (page.score, page.max_score) == ("0", "8")
    assert (ungraded.score, ungraded.max_score) == ("–", "–")


def test_hidden_cases_show_no_values() -> None:
    """Even if a report has them: no values, no errors, no indices, and no tolerance."""
    case = CaseResult(
        name="vjp",
        public=False,
        outcome=Outcome.MISMATCH,
        max_abs_error=0.25,
        tolerance=7.7171e-6,
        worst=WorstEntry(index=(4141, 17), got=3.25817, expected=-8.12345),
        wrong_entries=5151,
        entries=6161,
        shape=(2, 3),
        expected_shape=(2, 3),
    )

    page = render_html(report_samples.report(graded("grad_w2", outcome=Outcome.MISMATCH, cases=(case,))))

    for secret in ("0.25", "4141", "3.258", "8.123", "7.7e", "5,151", "6,161"):
        assert secret not in page
    public = render_html(
        report_samples.report(
            graded("grad_w2", outcome=Outcome.MISMATCH, cases=(dataclasses.replace(case, public=True),))
        )
    )
    for shown in ("[4141, 17]", "3.258", "−8.123", "5,151 of 6,161"):
        assert shown in public


def test_the_line_of_the_error_is_marked_in_the_code() -> None:
    page = render_html(mixed())

    assert '<span class="line hit" data-n="3">' in page
    assert "In [15], line 3" in page
    assert "<script" not in page.lower()
    assert "\x1b" not in page
    assert "⟨U+202E⟩" in page


def test_code_is_numbered_as_in_its_cell_and_shortened() -> None:
    code = Code(text="def f():\n" + "    x = 1\n" * 500, cell=3, line=7)

    page = render_html(report_samples.report(graded("grad_w2", code=code)))

    assert "In [3]" in page
    assert 'data-n="7">' in page
    assert page.count('class="line"') == 160
    assert re.search(r"… and \d+ more characters\.", page)


def test_the_report_on_an_unreadable_file_says_only_that() -> None:
    page = render_html(unreadable())

    assert "its JSON ends in the middle of a cell" in page
    assert "Overview" not in page
    assert 'class="score"' not in page


def test_the_footer_has_flags_notes_and_layers() -> None:
    page = render_html(dataclasses.replace(odd(), notes=("A note.",)))

    for part in (
        "For the instructor",
        "torch.autograd.grad",
        "A note.",
        "no network",
        "9f" * 32,
        "30 of 30 code cells",
    ):
        assert part in page


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        (("rlimits", "no_new_privs", "die_with_parent"), "The notebook ran in a sandbox of the level process."),
        (("rlimits",), "The notebook ran in a process of its own, in no complete sandbox."),
        ((), ""),
    ],
)
def test_students_read_how_the_notebook_was_confined(layers: tuple[str, ...], sentence: str) -> None:
    """The names of layers are for instructors, folded."""
    page = render_html(dataclasses.replace(odd(), sandbox_layers=layers))

    folded = re.search(r"<details[^>]*><summary>For the instructor: the layers.*?</details>", page)
    assert sentence in page
    assert ("Sandbox" in page) == bool(folded) == bool(layers)
    assert folded is None or all(name in folded[0] and name not in page.replace(folded[0], "") for name in layers)


def test_cases_speak_of_upstream_gradients_only_where_there_are_some() -> None:
    """A function that the backward pass begins with takes none."""
    first, later = (
        " ".join(row.what for row in exercise_view(graded(name), "e", {}).cases) for name in ("grad_yhat", "grad_b1")
    )

    assert "upstream" not in first
    assert "third batch size" in first
    assert later.count("upstream") == 3


def test_the_chain_distinguishes_wrong_functions_from_wrong_inputs() -> None:
    chain = build_page(missing_mask()).chain

    assert chain is not None
    words = {link.name: link.verdict for link in chain.links}
    assert words["grad_z1"] == LINKS["wrong"]
    assert words["grad_w1"] == LINKS["inherits"]
    assert words["grad_a1"] == LINKS["right"]
    assert chain.summary.endswith("4 of 7 functions are right.")


def test_a_forbidden_function_is_not_wrong_in_the_chain() -> None:
    """Nor is it right, whatever it returned there."""
    report = missing_mask()
    results = tuple(
        dataclasses.replace(result, outcome=Outcome.FORBIDDEN) if result.name in ("grad_z1", "grad_a1") else result
        for result in report.exercises
    )

    chain = build_page(dataclasses.replace(report, exercises=results)).chain

    assert chain is not None
    words = {link.name: link.verdict for link in chain.links}
    assert words["grad_z1"] == words["grad_a1"] == LINKS["forbidden"]


def test_exercises_with_the_same_name_have_different_anchors() -> None:
    links = [link["href"] for link in Parsed(render_html(report_samples.report(*[graded("grad_w2")] * 2))).all("a")]

    assert links == ["#main", "#exercise-grad_w2", "#exercise-2"]


def test_every_case_is_explained() -> None:
    assert set(CASES) == {"mnist", "mnist_hidden", "vjp", "linear"}


# ------------------------------------------------------------------------------------------------- foreign text

hostile = st.one_of(
    st.text(st.characters(), max_size=40),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "</style><script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "{{ 7*7 }}{% raw %}",
            "]]><!-- &lt;script&gt;",
            "\x1b]8;;http://example.org\x07link\x1b]8;;\x07",
            "\u202ereversed\u2066",
            "\ud800 lone surrogate \x00",
            "'''\"\"\"\\",
            "x" * 9000,
        ]
    ),
)
numbers = st.one_of(st.none(), st.floats())
shapes = st.one_of(st.none(), st.lists(st.integers(0, 10**6), max_size=5).map(tuple))
errors = st.builds(
    CallError,
    type=hostile,
    message=hostile,
    traceback=hostile,
    cell=st.one_of(st.none(), st.integers(1, 3)),
    line=st.one_of(st.none(), st.integers(1, 3)),
)
cases = st.builds(
    CaseResult,
    name=hostile,
    outcome=st.sampled_from(Outcome),
    public=st.booleans(),
    max_abs_error=numbers,
    max_rel_error=numbers,
    tolerance=numbers,
    wrong_entries=st.one_of(st.none(), st.integers(0, 9)),
    entries=st.one_of(st.none(), st.integers(0, 9)),
    shape=shapes,
    expected_shape=shapes,
    dtype=st.one_of(st.none(), hostile),
    expected_dtype=st.one_of(st.none(), hostile),
    worst=st.one_of(
        st.none(),
        st.builds(WorstEntry, index=st.just((1, 2)), got=st.floats(), expected=st.floats()),
    ),
    error=st.one_of(st.none(), errors),
)
exercises = st.builds(
    ExerciseResult,
    name=hostile,
    outcome=st.sampled_from(Outcome),
    points=st.floats(0, 10),
    max_points=st.floats(0, 10),
    message=hostile,
    cases=st.lists(cases, max_size=2).map(tuple),
    diagnoses=st.lists(st.builds(Diagnosis, id=hostile, message=hostile, hint=hostile), max_size=1).map(tuple),
    notices=st.lists(st.builds(Notice, id=hostile, message=hostile), max_size=1).map(tuple),
    error=st.one_of(st.none(), errors),
    code=st.one_of(st.none(), st.builds(Code, text=hostile, cell=st.integers(1, 3), line=st.integers(1, 3))),
    question=hostile,
)
curves = st.builds(
    Curve, reference=st.lists(st.floats(), max_size=5).map(tuple), student=st.lists(st.floats(), max_size=5).map(tuple)
)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    results = draw(st.lists(exercises, max_size=3))
    links = {result.name: draw(st.sampled_from(Outcome)) for result in results}
    chain = st.builds(
        Chain, links=st.just(links | {"unknown": Outcome.MATCH}), training=st.one_of(st.none(), curves), message=hostile
    )
    return Report(
        assignment_id=draw(hostile),
        assignment_title=draw(hostile),
        assignment_version=draw(hostile),
        submission=Submission(name=draw(hostile), student=draw(hostile), sha256=draw(hostile), content=b""),
        exercises=tuple(results),
        notebook=NotebookSummary(
            cells=3,
            executed=2,
            first_error=draw(st.one_of(st.none(), hostile)),
            problem=draw(st.sampled_from([None, None, None, "<script>"])),
        ),
        flags=tuple(draw(st.lists(st.builds(Flag, id=hostile, exercise=hostile, evidence=hostile), max_size=1))),
        chain=draw(st.one_of(st.none(), chain)),
        sandbox_layers=tuple(draw(st.lists(hostile, max_size=2))),
        notes=tuple(draw(st.lists(hostile, max_size=2))),
    )


ELEMENTS = set(
    re.findall(
        r"\S+",
        "html head meta title style body header main footer section details summary div span p a h1 h2 h3 h4 "
        "table caption thead tbody tr th td ol ul li dl dt dd pre code figure figcaption img strong "
        "svg rect line path text tspan image",
    )
)


@given(report=reports())
def test_nothing_foreign_becomes_markup(report: Report) -> None:
    page = render_html(report)
    parsed = Parsed(page)

    assert "<script" not in page.lower()
    assert {tag for tag, _ in parsed.elements} <= ELEMENTS
    assert not parsed.open
    assert not any(name.startswith("on") or name == "style" for _, each in parsed.elements for name in each)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(link["href"])[1:] for link in parsed.all("a")} <= set(ids)
    page.encode("utf-8")


@given(text=st.text(st.characters()))
def test_visible_hides_nothing(text: str) -> None:
    shown = visible(text)

    assert visible(shown) == shown
    assert all(character in "\n\t" or character.isprintable() or ord(character) > 0x9F for character in shown)
    assert len(shown) >= len(text.replace("\r\n", "\n"))


def test_clip_counts_what_it_leaves_out() -> None:
    assert clip("abc", 3) == "abc"
    assert clip("a" * 1503, 3) == "aaa … (1,500 more characters)"


# ----------------------------------------------------------------------------------------------------------- curves


def test_equal_curves_share_a_label() -> None:
    plot = plot_curve(Curve(reference=(4.0, 2.0, 1.0), student=(4.0, 2.0, 1.0001)))

    assert plot is not None
    assert plot.reference_label is None
    assert plot.student_label is not None
    assert plot.student_label.text == "both"
    assert plot.description[-1] == "With your gradients, the curve is the same."


def test_a_diverging_curve_leaves_the_chart() -> None:
    plot = plot_curve(Curve(reference=(4.0, 2.0, 1.0, 0.9), student=(4.0, 1e9, float("inf"), float("nan"))))

    assert plot is not None
    assert plot.y_title == "loss (log scale)"
    assert plot.lost is not None
    assert plot.description[1:] == (
        "With your gradients, it leaves the chart (×) after 1 step.",
        "It is no longer a finite number after 2 steps.",
    )


def test_a_curve_may_come_back() -> None:
    plot = plot_curve(Curve(reference=(4.0, 2.0, 1.0), student=(4.0, 1e9, 8.0)))

    assert plot is not None
    assert plot.description[-1] == "It is 8 after 2 steps."


@given(curve=curves)
def test_curves_stay_within_the_axes(curve: Curve) -> None:
    plot = plot_curve(curve)
    if plot is None:
        return
    left, top, right, bottom = plot.box
    for path in (plot.reference, plot.student):
        for x, y in re.findall(r"[ML](\S+?) ([^ML]+)", path):
            assert left <= float(x) <= right
            assert top - 0.1 <= float(y) <= bottom + 0.1
    assert all(top - 0.1 <= tick.at <= bottom + 0.1 for tick in plot.y_ticks)
    assert "nan" not in plot.reference + plot.student
    assert len(plot.y_ticks) <= 12
