"""The built book in Chromium, opened from its folder."""

import contextlib

import pytest
from browsing import pages, settled

from vmalloc_model.charts import theme

pytestmark = [pytest.mark.browser, pytest.mark.notebooks]

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@contextlib.contextmanager
def opened(chrome, path, **settings):
    context = chrome.new_context(**{"viewport": WIDE, "color_scheme": "light", **settings})
    page = context.new_page()
    page.goto(path.resolve().as_uri())
    if settings.get("java_script_enabled", True):
        settled(page)
    yield page
    context.close()


def texts_of(page, selector):
    """Fill colours of the texts in a chart."""
    return page.eval_on_selector_all(
        f"{selector} .report-live svg text", "all => all.map((text) => text.getAttribute('fill'))"
    )


def drawing(page, selector=""):
    return page.locator(f"{selector} .report-live svg").first.inner_html()


@pytest.fixture(scope="module")
def visits(html, chrome):
    """Every page, opened once: name -> what went wrong, and its width on a phone."""
    context = chrome.new_context(viewport=PHONE)
    seen = {name: visit(context, html / name) for name in pages(html)}
    context.close()
    return seen


def visit(context, path):
    troubles = []

    def asked(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            troubles.append(f"asks for {request.url}")

    def said(message):
        if message.type in ("error", "warning"):
            troubles.append(f"console: {message.text}")

    page = context.new_page()
    page.on("request", asked)
    page.on("requestfailed", lambda request: troubles.append(f"not loaded: {request.url}"))
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("console", said)
    page.goto(path.resolve().as_uri())
    settled(page)
    width = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    return troubles, width


def test_pages_ask_for_files_only_and_have_nothing_to_complain_of(visits):
    assert visits
    assert not {str(name): troubles for name, (troubles, _) in visits.items() if troubles}


def test_no_page_is_wider_than_a_phone(visits):
    assert not {str(name): width for name, (_, width) in visits.items() if width > PHONE["width"]}


def test_without_javascript_every_chart_is_an_image_with_a_description(html, chrome):
    context = chrome.new_context(java_script_enabled=False)
    charts = 0
    for name in pages(html):
        if 'class="report-chart"' not in (html / name).read_text():
            continue
        page = context.new_page()
        page.goto((html / name).resolve().as_uri())
        for image in page.locator(".report-chart > img").all():
            charts += 1
            assert image.is_visible()
            assert len(image.get_attribute("alt")) > 5
            box = image.bounding_box()
            assert box["width"] > 100
            assert box["height"] > 80  # a broken image is one line of text
        page.close()
    context.close()
    assert charts


def test_a_live_chart_takes_the_images_place(mini, chrome):
    with opened(chrome, mini / "_build/html/notebooks/first.html") as page:
        assert page.locator("#fig-line .report-live svg").is_visible()
        assert not page.locator("#fig-line img").is_visible()
        page.locator("#fig-line .report-live path[aria-roledescription='point']").first.hover()
        assert page.locator("#vg-tooltip-element").inner_text().startswith("size")


def test_light_and_dark_keep_text_legible_and_sliders_in_place(mini, chrome):
    with opened(chrome, mini / "_build/html/notebooks/second.html") as page:
        assert set(texts_of(page, "#fig-slider")) == {theme.INK}
        page.locator("#fig-slider input").fill("50")
        assert "200" in page.locator("#fig-slider .report-live svg").text_content()
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        page.wait_for_function(
            f"""document.querySelector('#fig-slider .report-live svg text')
                .getAttribute('fill') === '{theme.DARK[theme.INK]}'"""
        )
        assert set(texts_of(page, "#fig-slider")) == {theme.DARK[theme.INK]}
        assert page.locator("#fig-slider input").input_value() == "50"
        assert "200" in page.locator("#fig-slider .report-live svg").text_content()


def test_sliders_work_by_keyboard(mini, chrome):
    with opened(chrome, mini / "_build/html/notebooks/second.html") as page:
        slider = page.get_by_role("slider", name="CPUs")
        before = drawing(page, "#fig-slider")
        slider.focus()
        slider.press("ArrowRight")
        assert slider.input_value() == "33"
        page.wait_for_function("document.querySelector('#fig-slider').innerText.includes('132')")
        assert drawing(page, "#fig-slider") != before


@pytest.mark.parametrize("figure", ["fig-slider", "fig-wide"])
def test_charts_follow_the_width_of_the_page(mini, chrome, figure):
    with opened(chrome, mini / "_build/html/notebooks/second.html", viewport=PHONE) as page:
        for settings in (PHONE, {"width": 700, "height": 844}):
            page.set_viewport_size(settings)
            page.wait_for_function(
                f"""() => {{
                    const box = document.querySelector('#{figure} .report-chart');
                    const width = box.querySelector('svg').clientWidth;
                    return width > 0.9 * box.clientWidth && width <= box.clientWidth;
                }}"""
            )


def test_paper_is_light_and_shows_the_images(mini, chrome):
    path = mini / "_build/html/notebooks/second.html"
    with opened(chrome, path, color_scheme="dark") as page:
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.emulate_media(media="print")
        page.wait_for_function("document.documentElement.dataset.theme === 'light'")
        assert page.locator("#fig-slider img").is_visible()
        assert not page.locator("#fig-slider .report-live").is_visible()
        page.emulate_media(media="screen")
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")


def test_the_calculator_recomputes_in_the_page(real, chrome):
    with opened(chrome, real / "_build/html/notebooks/address-space.html") as page:
        sliders = page.locator(".report-live input[type=range]")
        assert sliders.count()
        for slider in sliders.all():
            chart = slider.locator("xpath=ancestor::div[contains(@class, 'report-live')]")
            menu = chart.locator("select")
            # A slider may count for one choice of the menu only; it may stand at one of its ends.
            choices = menu.locator("option").count() if menu.count() else 1
            changed = False
            for choice in reversed(range(choices)):
                if menu.count():
                    menu.select_option(index=choice)
                slider.focus()
                for key in ("ArrowRight", "ArrowLeft", "ArrowLeft"):
                    before = chart.locator("svg").inner_html()
                    slider.press(key)
                    changed = changed or chart.locator("svg").inner_html() != before
                if changed:
                    break
            assert changed, slider.get_attribute("name")
