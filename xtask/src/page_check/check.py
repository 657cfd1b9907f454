"""Opens the sample pages in headless Chromium and checks what a reader does with them.

    check.py CHROMIUM FOLDER

Called by `cargo xtask check-page`, which makes the pages and finds the browser. Prints a line a check;
ends with 1 if any failed. No check depends on how fast the machine is but one, the time until an hour of
data is drawn, of which the best of some attempts counts.
"""

import re
import sys
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

PAGES = ["traced", "load", "alone", "hour", "hostile"]
# All on one axis; the others may begin earlier, and follow by run and second.
SECONDS = ["p999", "max", "heat", "slo", "cpu", "rss"]
PAUSES = ["pause-p999", "pause-max"]
INTERACTIVE_MS = 1000
ATTEMPTS = 5
# No network, no first-run traffic, and a renderer that needs no graphics card.
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

failures = []


def check(holds, what, found=""):
    print(("ok      " if holds else "FAILED  ") + what + (f": {found}" if found else ""), flush=True)
    if not holds:
        failures.append(what)


class Opened:
    """A page that is watched from before it loads."""

    def __init__(self, browser, file, scheme="light", width=1200, **more):
        self.context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}, offline=True, **more
        )
        self.page = self.context.new_page()
        self.said, self.asked, self.dialogs = [], [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", self.refuse)
        self.page.goto(file.as_uri())
        self.address = file.as_uri()

    def refuse(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def charts(self):
        return self.page.eval_on_selector_all("[data-chart]", "all => all.map(one => one.dataset.chart)")

    def chart(self, name):
        return self.page.locator(f'[data-chart="{name}"]')

    def windows(self, names):
        present = [name for name in names if self.chart(name).count()]
        return {name: self.chart(name).get_attribute("data-window") for name in present}

    def picture(self, name):
        """What is drawn within a chart's axes: its colours, and a digest."""
        return self.page.evaluate(
            """name => {
                const chart = document.querySelector(`[data-chart="${name}"]`);
                const canvas = chart.querySelector("canvas");
                if (!canvas) return { colours: 0, digest: 0 };
                const [whole, plot] = [canvas, chart.querySelector(".u-over")].map((e) => e.getBoundingClientRect());
                const ratio = canvas.width / whole.width;
                // From a copy: reading the page's own would make the browser draw it otherwise from then on.
                const [width, height] = [plot.width * ratio, plot.height * ratio].map(Math.floor);
                const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
                copy.drawImage(canvas, (whole.left - plot.left) * ratio, (whole.top - plot.top) * ratio);
                const pixels = copy.getImageData(0, 0, width, height).data;
                const colours = new Set();
                let digest = 0;
                for (let at = 0; at < pixels.length; at += 4) {
                    const colour = pixels[at] << 16 | pixels[at + 1] << 8 | pixels[at + 2];
                    if (pixels[at + 3] === 255) colours.add(colour);
                    digest = (digest * 31 + colour + pixels[at + 3]) | 0;
                }
                return { colours: colours.size, digest };
            }""",
            name,
        )

    def settle(self):
        """Waits until what was asked for is drawn."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def drag(self, name, begin, end):
        plot = self.chart(name).locator(".u-over")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        y = box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + box["width"] * begin, y)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + box["width"] * (begin + end) / 2, y, steps=3)
        self.page.mouse.move(box["x"] + box["width"] * end, y, steps=3)
        self.page.mouse.up()
        self.settle()

    def press(self, name, key):
        self.chart(name).focus()
        self.page.keyboard.press(key)
        self.settle()


def opens(opened, name):
    """Nothing goes wrong, nothing is asked for, everything is drawn."""
    check(not opened.said, f"{name}: the console stays empty", "; ".join(opened.said[:3]))
    asked = [url for url in opened.asked if url != opened.address and not url.startswith("data:")]
    check(not asked, f"{name}: no request leaves the file", ", ".join(asked[:3]))
    check(not opened.dialogs, f"{name}: no dialog opens", ", ".join(opened.dialogs))
    charts = opened.charts()
    # Grid, bands and lines; a chart that failed has no canvas, an empty one no more than two colours.
    blank = [chart for chart in charts if opened.picture(chart)["colours"] < 4]
    check(charts and not blank, f"{name}: {len(charts)} charts are drawn", ", ".join(blank))
    scripts = opened.page.locator("script").count()
    check(scripts == 3, f"{name}: three scripts, all of them ours", "" if scripts == 3 else str(scripts))
    foreign = opened.page.locator("img, iframe, object, embed, link[rel=stylesheet], a[href^=javascript]").count()
    check(foreign == 0, f"{name}: no element that could load anything")


def same(windows):
    return len(set(windows.values())) == 1


def zooms(opened, name):
    """A drag moves all charts over time; there are three ways back."""
    before, paused = opened.windows(SECONDS), opened.windows(PAUSES)
    check(len(before) >= 4 and same(before), f"{name}: all charts begin with the same window")
    low, high = map(float, next(iter(before.values())).split())
    opened.drag("p999", 0.3, 0.5)
    after = opened.windows(SECONDS)
    begin, end = map(float, after["p999"].split())
    wanted = [low + (high - low) * share for share in (0.3, 0.5)]
    near = all(abs(got - want) < 0.02 * (high - low) for got, want in zip((begin, end), wanted))
    check(near, f"{name}: a drag shows the stretch that was dragged over", f"{after['p999']} of {before['p999']}")
    check(same(after), f"{name}: the other charts follow", "" if same(after) else str(after))
    if paused:
        moved = opened.windows(PAUSES)
        check(same(moved) and moved != paused, f"{name}: so do those of pauses", next(iter(moved.values())))
    reset = opened.page.get_by_role("button", name="Reset zoom").first
    reset.click()
    opened.settle()
    check(opened.windows(SECONDS) == before, f"{name}: the button shows all again")
    check(opened.windows(PAUSES) == paused, f"{name}: also of pauses")
    check(reset.is_disabled(), f"{name}: and then has nothing left to do")
    opened.drag("heat", 0.2, 0.6)
    check(same(opened.windows(SECONDS)) and opened.windows(SECONDS) != before, f"{name}: a drag over the heat map does the same")
    opened.chart("heat").locator(".u-over").dblclick()
    opened.settle()
    check(opened.windows(SECONDS) == before, f"{name}: a double click shows all again")
    if paused:
        opened.drag("pause-max", 0.3, 0.6)
        check(opened.windows(SECONDS) != before, f"{name}: a drag over pauses moves the latencies")
        opened.press("pause-max", "Escape")
        check(opened.windows(SECONDS) == before, f"{name}: Escape shows all again")


def zooms_by_key(opened, name):
    """On any page, however little it holds."""
    charts = [chart for chart in opened.charts() if chart in SECONDS + PAUSES]
    before = opened.windows(charts)
    for chart in charts:
        opened.press(chart, "ArrowRight")
        opened.press(chart, "+")
        opened.press(chart, "Escape")
    check(charts and opened.windows(charts) == before, f"{name}: each chart over time zooms by key, and back")


def keyboard(opened, name):
    """Everything that a mouse does, without one."""
    page = opened.page
    before = opened.windows(SECONDS)
    opened.press("p999", "ArrowRight")
    spoken = page.locator(".spoken").inner_text()
    check("second 1" in spoken, f"{name}: an arrow key reads a second aloud", spoken)
    opened.press("heat", "ArrowRight")
    spoken = page.locator(".spoken").inner_text()
    check(all(part in spoken for part in ("P50", "P99", "P99.9", "maximum", "requests")), f"{name}: on the heat map with its percentiles", spoken)
    first = page.locator('[data-readout="heat"]').inner_text()
    opened.press("heat", "ArrowUp")
    check(page.locator('[data-readout="heat"]').inner_text() != first, f"{name}: up and down go from row to row")
    opened.press("slo", "ArrowRight")
    spoken = page.locator(".spoken").inner_text()
    check("target" in spoken, f"{name}: on the board with what is to be said of it", spoken)
    opened.press("heat", "+")
    opened.press("heat", "+")
    zoomed = opened.windows(SECONDS)
    check(same(zoomed) and zoomed != before, f"{name}: + zooms all charts in", zoomed["heat"])
    opened.press("max", "Shift+ArrowRight")
    check(opened.windows(SECONDS) != zoomed and same(opened.windows(SECONDS)), f"{name}: Shift with an arrow moves the window")
    opened.press("max", "Shift+ArrowLeft")
    opened.press("max", "-")
    opened.press("max", "-")
    check(opened.windows(SECONDS) == before, f"{name}: − zooms out again")
    toggle = page.locator('[data-keys="p999"] button').last
    picture = opened.picture("p999")
    toggle.focus()
    page.keyboard.press("Enter")
    opened.settle()
    hidden = toggle.get_attribute("aria-pressed") == "false" and opened.picture("p999") != picture
    check(hidden, f"{name}: a key of the legend hides its line")
    page.keyboard.press("Enter")
    opened.settle()
    check(opened.picture("p999") == picture, f"{name}: and shows it again")


def heat_map(opened, name):
    """The switch of colours, the choice of kinds and threads."""
    page = opened.page
    scale = page.locator(".ramp")
    logarithmic, picture = scale.get_attribute("aria-label"), opened.picture("heat")
    page.locator('[data-colour="heat"] input').first.focus()
    page.keyboard.press("ArrowRight")
    opened.settle()
    linear = opened.picture("heat")
    check("linear" in scale.get_attribute("aria-label") and linear != picture, f"{name}: the colours become linear by key")
    page.keyboard.press("ArrowLeft")
    opened.settle()
    back = scale.get_attribute("aria-label") == logarithmic and opened.picture("heat") == picture
    check(back, f"{name}: and logarithmic again")
    kinds = page.locator('[data-keys="marks"] button')
    if kinds.count():
        kinds.first.click()
        opened.settle()
        check(opened.picture("heat") != picture, f"{name}: a kind of pauses is taken off the map")
        kinds.first.click()
        threads = page.locator('[data-threads="heat"]')
        check(threads.locator("option").count() > 2, f"{name}: the threads that paused are there to choose from")
        threads.select_option(index=1)
        opened.settle()
        check(opened.picture("heat") != picture, f"{name}: of one thread only")
        threads.select_option(index=0)
        opened.settle()
        check(opened.picture("heat") == picture, f"{name}: all of them again")


# The formula of WCAG 2.1, success criterion 1.4.3: at least 4.5 for text of this size.
CONTRAST_IN_PICTURES = """() => {
  const channels = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const linear = value => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = color => {
    const [red, green, blue] = channels(color).map(linear);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const poor = new Set();
  for (const text of document.querySelectorAll("svg g > text")) {
    const box = text.parentElement.querySelector("rect");
    const pair = [getComputedStyle(text).fill, getComputedStyle(box).fill];
    const [darker, lighter] = pair.map(luminance).sort((one, other) => one - other);
    const ratio = (lighter + 0.05) / (darker + 0.05);
    if (ratio < 4.5) poor.add(`${pair.join(" on ")}: ${ratio.toFixed(2)}`);
  }
  return [...poor];
}"""


def accessible(opened, name):
    """axe-core's rules, with every folded part open."""
    opened.page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true; })")
    opened.settle()
    results = Axe().run(opened.page, options={"resultTypes": ["violations", "passes", "incomplete"]}).response
    found = [
        f"{violation['id']} at {violation['nodes'][0]['target'][0]} ({len(violation['nodes'])})"
        for violation in results["violations"]
    ]
    # What axe cannot decide: text over a picture, or hidden by something else. Single letters and symbols are
    # beyond it, and what the edge of a scrolling table cuts is not hidden.
    known = ("shortTextContent", "nonBmp", "elmPartiallyObscured")
    unsure = [
        f"{node['target'][0]} {node['any'][0]['data']['messageKey']}"
        for rule in results["incomplete"]
        if rule["id"] == "color-contrast"
        for node in rule["nodes"]
        if node["any"][0]["data"]["messageKey"] not in known
        and not ("</text>" in node["html"] and node["any"][0]["data"]["messageKey"] == "bgOverlap")
    ]
    # Text on a box of a picture: axe does not look below it, so its colours are compared here.
    poor = opened.page.evaluate(CONTRAST_IN_PICTURES)
    check(not poor, f"{name}: texts in pictures have contrast", ", ".join(map(str, poor[:5])))
    contrast = next((rule for rule in results["passes"] if rule["id"] == "color-contrast"), None)
    texts = len(contrast["nodes"]) if contrast else 0
    check(not found, f"{name}: axe {results['testEngine']['version']} finds nothing ({texts} texts have contrast)", "; ".join(found))
    check(texts > 10 and not unsure, f"{name}: no text's contrast is unknown", ", ".join(map(str, unsure[:5])))


def hovers(opened):
    """Lets every readout speak: what stands in them comes from the recordings."""
    for name in opened.charts():
        plot = opened.chart(name).locator(".u-over")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        for share in (0.1, 0.3, 0.5, 0.7, 0.9):
            for height in (0.1, 0.5, 0.95):
                opened.page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] * height)
    opened.settle()


def narrow(browser, file, name, scheme):
    with Opened(browser, file, scheme, width=400) as opened:
        wide = opened.page.evaluate("document.documentElement.scrollWidth")
        check(wide <= 400, f"{name}: fits 400 pixels", "" if wide <= 400 else f"{wide} wide")


def prints(browser, file, name):
    with Opened(browser, file, "dark") as opened:
        pdf = opened.page.pdf(print_background=False)
        check(pdf.startswith(b"%PDF") and len(pdf) > 50_000, f"{name}: prints", f"{len(pdf)} bytes")
        opened.page.emulate_media(media="print")
        opened.settle()
        shown = opened.page.locator(".zoom, .readout").first.is_visible()
        check(not shown, f"{name}: without what nobody can press on paper")
        ink = opened.page.evaluate("getComputedStyle(document.body).color")
        light = sum(map(int, re.findall(r"\d+", ink)[:3])) < 200
        check(light and not opened.said, f"{name}: dark on white, also from a dark page", ink)


def still(browser, file, name):
    with Opened(browser, file, reduced_motion="reduce") as opened:
        moving = opened.page.evaluate(
            """() => document.getAnimations().length + [...document.querySelectorAll("*")].filter(
                (one) => parseFloat(getComputedStyle(one).transitionDuration) > 0).length"""
        )
        check(moving == 0, f"{name}: nothing moves by itself")


def without_script(browser, file, name):
    with Opened(browser, file, java_script_enabled=False) as opened:
        page = opened.page
        tables = page.locator("table").count()
        shown = page.locator("noscript p").is_visible()
        controls = page.locator(".scripted").first.is_visible()
        check(tables >= 8 and shown and not controls, f"{name}: without script the tables remain", f"{tables} tables")


def interactive(browser, file, name):
    """From the start of navigation to charts that are drawn, and then from a key to the zoomed charts.

    On a machine that does other things meanwhile the page waits for a core: then the time that its main thread
    was on one, which is all that the page itself can take, must stay below the limit.
    """
    best, busy, zoom = float("inf"), float("inf"), float("inf")
    for _ in range(ATTEMPTS):
        with Opened(browser, Path("/dev/null")) as opened:
            page = opened.page
            session = opened.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.goto(file.as_uri())
            page.wait_for_function("performance.getEntriesByName('charts-drawn').length > 0")
            metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
            busy = min(busy, metrics["TaskDuration"] * 1000)
            drawn = page.evaluate("performance.getEntriesByName('charts-drawn')[0].startTime")
            best = min(best, drawn)
            opened.chart("p999").focus()
            began = page.evaluate("performance.now()")
            page.keyboard.press("+")
            opened.settle()
            zoom = min(zoom, page.evaluate("performance.now()") - began)
    size = file.stat().st_size / 1e6
    found = f"{best:.0f} ms, {busy:.0f} ms of them busy, of {size:.2f} MB, best of {ATTEMPTS}; a zoom takes {zoom:.0f} ms"
    check(min(best, busy) < INTERACTIVE_MS, f"{name}: interactive in under {INTERACTIVE_MS} ms", found)


def main():
    chromium, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        print(f"Chromium {browser.version}")
        for page in PAGES:
            file = folder / f"{page}.html"
            for scheme in ("light", "dark"):
                name = f"{page}, {scheme}"
                with Opened(browser, file, scheme) as opened:
                    opens(opened, name)
                    if page in ("traced", "load", "hour") and scheme == "light":
                        zooms(opened, name)
                        keyboard(opened, name)
                        heat_map(opened, name)
                    zooms_by_key(opened, name)
                    hovers(opened)
                    check(not opened.said and not opened.dialogs, f"{name}: nothing went wrong meanwhile", "; ".join(opened.said[:3] + opened.dialogs))
                    opens(opened, f"{name}, used")
                    accessible(opened, name)
            narrow(browser, file, page, "light")
        for page in ("traced", "hour"):
            prints(browser, folder / f"{page}.html", page)
        still(browser, folder / "traced.html", "traced")
        without_script(browser, folder / "traced.html", "traced")
        interactive(browser, folder / "hour.html", "hour")
        browser.close()
    if failures:
        print(f"{len(failures)} checks failed")
        sys.exit(1)


main()
