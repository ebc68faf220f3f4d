"""Reports in a browser."""

from __future__ import annotations

import re

import numpy as np
import pytest
from helpers.browser import Browser, find_chromium
from helpers.reports import KINDS, marks_of

from gapfit.errors import GapfitError
from gapfit.report import ReportOptions, gather


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    executable = find_chromium()
    if executable is None:
        pytest.skip("there is no Chromium; name one in $CHROMIUM")
    own = Browser(executable, tmp_path_factory.mktemp("profile"))
    yield own
    own.close()


def opened(browser, page, **size):
    browser.problems.clear()
    browser.requests.clear()
    browser.open(page, **size)


def place(browser, figure, mark, n):
    """Bring a mark into view and return where it is in the window."""
    return browser.run(
        f"""(() => {{
          const svg = document.querySelector('#figure-{figure} svg');
          const data = JSON.parse(document.getElementById('marks').textContent);
          const own = data.figures['{figure}'][{mark}];
          const at = () => new DOMPoint(own.x[{n}], own.y[{n}])
            .matrixTransform(svg.getScreenCTM());
          scrollBy(0, at().y - innerHeight / 2);
          return [at().x, at().y];
        }})()"""
    )


def tip(browser):
    return browser.run("tip.hidden ? null : tip.textContent")


def test_the_page_opens_without_errors(browser, reported, hostile, fitted):
    for page in (reported, hostile, fitted / "report.html"):
        opened(browser, page)
        assert browser.problems == []
        assert browser.requests == [page.absolute().as_uri()]
        assert browser.run("window.pwned") is None
        assert browser.run("document.querySelectorAll('figure svg').length") >= 4


def test_hovering_tells_the_right_point(browser, reported):
    opened(browser, reported)
    for figure, parts in marks_of(reported).items():
        mark, own = max(enumerate(parts), key=lambda pair: len(pair[1]["x"]))
        # A point without another on top of it.
        at = np.concatenate([np.column_stack([m["x"], m["y"]]) for m in parts])
        mine = np.column_stack([own["x"], own["y"]])
        apart = np.linalg.norm(mine[:, None] - at[None], axis=-1)
        n = int(np.argmax(np.sort(apart, axis=1)[:, 1]))
        x, y = place(browser, figure, mark, n)
        browser.mouse("mouseMoved", x + 1, y - 1)
        text = tip(browser)
        if "t" in own:
            assert text == own["t"][n]
        else:
            lines = text.split("\n")
            assert lines[:2] == [own["f"][n], own["c"][n]]
            assert ("i" not in own) or lines[2] == own["i"][n]
            assert any(line.startswith("error ") for line in lines)
        ring = browser.run(
            f"[...document.querySelectorAll('#figure-{figure} .ring')]"
            ".map(r => [r.style.display, Number(r.getAttribute('cx'))])[0]"
        )
        assert ring == ["", own["x"][n]]
        browser.mouse("mouseMoved", 5, 5)
        assert tip(browser) is None
    assert browser.problems == []


def test_the_legend_hides_a_config_type(browser, reported):
    opened(browser, reported)
    marks = marks_of(reported)["parity"]
    entry = marks[0]["entry"]
    where = f'[id^="parity-legend.{entry}.text"]'
    x, y = browser.run(
        f"""(() => {{ const own = document.querySelector('{where}');
        own.scrollIntoView({{block: 'center'}});
        const box = own.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""
    )
    groups = f"[...document.querySelectorAll('[id^=\"parity-marks.{entry}.\"]')]"
    shown = f"{groups}.map(g => getComputedStyle(g).display)"
    assert set(browser.run(shown)) == {"inline"}
    browser.click(x, y)
    assert set(browser.run(shown)) == {"none"}
    assert browser.run(f"document.querySelector('{where}').ariaPressed") == "false"
    browser.mouse("mouseMoved", *place(browser, "parity", 0, 0))
    assert marks[0]["c"][0] not in (tip(browser) or "")
    browser.run(f"document.querySelector('{where}').focus()")
    browser.press("Enter")
    assert set(browser.run(shown)) == {"inline"}
    browser.mouse("mouseMoved", *place(browser, "parity", 0, 0))
    assert marks[0]["c"][0] in tip(browser)


def test_a_rectangle_enlarges_and_goes_back(browser, reported):
    opened(browser, reported)
    x, y = place(browser, "parity", 0, 0)
    box = "document.querySelector('#figure-parity svg').getAttribute('viewBox')"
    whole = browser.run(box)
    browser.mouse("mousePressed", x - 30, y - 20, button="left", clickCount=1)
    browser.mouse("mouseMoved", x + 30, y + 20, button="left", buttons=1)
    browser.mouse("mouseReleased", x + 30, y + 20, button="left", clickCount=1)
    part = [float(n) for n in browser.run(box).split()]
    assert part[2] < 0.2 * float(whole.split()[2])
    lines = (
        "getComputedStyle(document.querySelector('#figure-parity path')).vectorEffect"
    )
    assert browser.run(lines) == "non-scaling-stroke"
    own = marks_of(reported)["parity"][0]
    assert part[0] < own["x"][0] < part[0] + part[2]
    # Marks are told where they now are.
    browser.mouse("mouseMoved", *place(browser, "parity", 0, 0))
    assert own["f"][0] in tip(browser)
    browser.run("document.querySelector('#figure-parity .zoom').click()")
    assert browser.run(box) == whole
    assert browser.run(lines) == "none"
    assert browser.problems == []


def test_arrow_keys_begin_with_the_largest_error(browser, reported):
    opened(browser, reported)
    browser.run("document.getElementById('figure-parity').focus()")
    browser.press("ArrowRight")
    worst = [
        (own["f"][n], own["k"], own["e"][n])
        for own in marks_of(reported)["parity"]
        for n in [int(np.argmax(np.abs(own["e"])))]
    ]
    largest = {k: max(abs(e) for _, kind, e in worst if kind == k) for k in KINDS}
    files = [f for f, k, e in worst if abs(e) == largest[k]]
    assert tip(browser).split("\n")[0] in files
    first = tip(browser)
    browser.press("ArrowRight")
    assert tip(browser) != first
    browser.press("ArrowLeft")
    assert tip(browser) == first


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window(browser, reported, hostile, width):
    for page in (reported, hostile):
        opened(browser, page, width=width)
        inner = browser.run("document.documentElement.scrollWidth")
        assert inner <= width
        assert browser.problems == []


def test_it_prints_on_several_pages_with_everything_open(browser, reported):
    opened(browser, reported)
    browser.run(
        "addEventListener('beforeprint', () => { window.closed_ = "
        "document.querySelectorAll('details:not([open])').length; })"
    )
    before = browser.run("document.querySelectorAll('details:not([open])').length")
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    pages = [int(n) for n in re.findall(rb"/Type /Pages\s*/Count (\d+)", pdf)]
    assert max(pages) >= 2
    assert before > 0
    assert browser.run("window.closed_") == 0
    assert (
        browser.run("document.querySelectorAll('details:not([open])').length") == before
    )
    assert browser.problems == []


def test_an_unknown_place_is_one_clear_error(tmp_path):
    with pytest.raises(GapfitError, match=r"give the folder that `gapfit fit` wrote"):
        gather(tmp_path, ReportOptions())
