"""The calculator of the built book, moved by hand in Chromium on the width of a telephone."""

import pytest
from browsing import settled

from vmalloc_model.constraints import cpus_at_share
from vmalloc_model.platforms import load_platforms

pytestmark = [pytest.mark.browser, pytest.mark.notebooks]


@pytest.fixture
def page(real, chrome):
    context = chrome.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto((real / "_build/html/notebooks/address-space.html").resolve().as_uri())
    settled(page)
    yield page
    context.close()


def shown(page):
    return page.locator("#fig-calculator .report-live svg text").all_text_contents()


def set_slider(page, name, value):
    slider = page.get_by_role("slider", name=name)
    slider.fill(str(value))
    assert slider.input_value() == str(value)


def test_the_sliders_and_the_menu_recompute_everything(page):
    assert "32 CPUs × 64 MiB = 2 GiB" in shown(page)
    assert "0.0061035 % of 32 TiB" in shown(page)

    set_slider(page, "CPUs", 13)
    set_slider(page, "Chunk", 27)
    assert {"8,192 CPUs × 128 MiB = 1 TiB", "3.125 % of 32 TiB"} <= set(shown(page))

    page.locator("#fig-calculator select").select_option("mail-x86_64")
    set_slider(page, "CPUs", 5)
    set_slider(page, "Chunk", 26)
    assert {"1.5625 % of 128 GiB", "2,048 chunks fit"} <= set(shown(page))

    page.locator("#fig-calculator select").select_option("i386")
    assert {"TOO MANY: 1 chunk fits", "31 CPUs get none"} <= set(shown(page))
    ten = int(cpus_at_share(1.0, 64 << 20, load_platforms()["i386"].size))
    assert f"100 % from {ten} CPUs on" in shown(page)

    page.locator("#fig-calculator select").select_option("own")
    set_slider(page, "Own range", 31)
    assert "100 % of 2 GiB" in shown(page)


def test_the_words_stay_inside_the_chart_and_are_not_too_small(page):
    page.locator("#fig-calculator select").select_option("i386")
    set_slider(page, "CPUs", 13)
    set_slider(page, "Chunk", 30)
    box = page.locator("#fig-calculator .report-live svg").bounding_box()
    texts = page.locator("#fig-calculator .report-live svg text")
    for index in range(texts.count()):
        text = texts.nth(index)
        if not text.text_content():
            continue
        inner = text.bounding_box()
        assert inner["x"] >= box["x"] - 1, text.text_content()
        assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1, text.text_content()
    assert box["width"] <= 390


def test_the_words_are_legible_on_the_dark_page(page):
    page.emulate_media(color_scheme="dark")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(
        "document.querySelector('#fig-calculator .report-live svg text')"
        ".getAttribute('fill') !== '#222832'"
    )
    fills = page.eval_on_selector_all(
        "#fig-calculator .report-live svg text", "all => all.map((one) => one.getAttribute('fill'))"
    )
    assert "#222832" not in fills
