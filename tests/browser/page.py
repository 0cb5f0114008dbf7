#!/usr/bin/env python3
"""page.py - looks at the status page with a real Chromium, at three sizes, light and dark, by keyboard, with hostile texts.

Usage: page.py URL FOLDER      prints what is wrong, writes screenshots into FOLDER; exit code 1 if anything is wrong

Speaks the DevTools protocol over a pipe; needs nothing but Python and chromium. The page must show at least one lease, one
worker and one failure whose texts try to become markup (test_browser.c makes them).
"""
import base64, json, os, subprocess, sys, tempfile, time

SIZES = [("phone", 390, 844, True), ("tablet", 820, 1180, True), ("desktop", 1440, 900, False)]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         "--remote-debugging-pipe"]
PATIENCE_S = 60

# What must hold of the page as it is drawn. Each returns a list of complaints.
CHECK = r"""
(() => {
  const bad = [], need = (ok, text) => { if (!ok) bad.push(text); };
  const root = document.documentElement;
  need(root.scrollWidth <= innerWidth, "the page is " + root.scrollWidth + " wide in a window of " + innerWidth);
  for (const id of ["leases", "workers", "failures"]) {
    const place = document.getElementById(id);
    need(place.querySelectorAll("tbody tr").length > 0, id + " are empty");
    if (innerWidth < 700) need(place.scrollWidth <= place.clientWidth, id + " are wider than a phone");
  }
  need(document.getElementById("hour").querySelectorAll("rect").length > 0, "no bar in the chart");
  need(document.querySelectorAll("script").length === 1, "another script");
  need(document.querySelectorAll("img, iframe, object, embed, link[rel=stylesheet], b:not(.legend b), svg[onload]").length === 0, "markup from a text");
  need(!window.owned, "a text has run");
  need(["leases", "workers", "failures"].every((id) => document.getElementById(id).textContent.includes("<img src=x onerror=")), "a hostile id is not shown as text");
  need(!/[\u202a-\u202e\u2066-\u2069]/.test(document.body.textContent), "a text turns the direction of writing");
  need(performance.getEntriesByType("resource").every((r) => r.name.startsWith(location.origin)), "something from elsewhere was loaded");
  const light = (color) => {
    const [r, g, b] = color.match(/[\d.]+/g).map((n) => { n /= 255; return n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)") return color;
    }
    return "rgb(255, 255, 255)";
  };
  for (const node of document.querySelectorAll("h1, h2, dt, dd, small, p, li, th, td .text, .sub, .chip, .name, .value, button, a:not(.skip)")) {
    if (!node.textContent || !node.offsetParent) continue;
    const a = light(getComputedStyle(node).color), b = light(behind(node));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    need(contrast >= 4.5, "contrast " + contrast.toFixed(1) + " of '" + node.textContent.slice(0, 30) + "' (" + node.className + ")");
  }
  return bad;
})()
"""
# Where Tab leads, from the top.
ORDER = ["a.skip", "button#hold", "svg#hour", "div#leases", "div#workers", "div#failures", "a"]
WHERE = "(() => { const n = document.activeElement; return n.localName + (n.id ? '#' + n.id : n.className ? '.' + n.className : ''); })()"


class Browser:
    def __init__(self, folder):
        to_read, self.to_write = os.pipe()
        self.from_read, from_write = os.pipe()

        def place():  # chromium reads 3 and writes 4
            os.dup2(to_read, 100), os.dup2(from_write, 101)
            os.dup2(100, 3), os.dup2(101, 4)

        self.process = subprocess.Popen(["chromium", *FLAGS, "--user-data-dir=" + folder], preexec_fn=place, close_fds=False,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read), os.close(from_write)
        self.rest, self.number, self.session, self.complaints = b"", 0, None, []

    def receive(self):
        while b"\0" not in self.rest:
            part = os.read(self.from_read, 1 << 20)
            if not part:
                sys.exit("page.py: chromium ended")
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(message)
        text = json.dumps(message.get("params", {}))[:300]
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append("an error of the page: " + text)
        if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.complaints.append("the console says: " + text)
        return message

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        while True:
            reply = self.receive()
            if reply.get("id") == self.number:
                if "error" in reply:
                    sys.exit("page.py: %s: %s" % (method, reply["error"]))
                return reply["result"]

    def ask(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            sys.exit("page.py: %s: %s" % (expression[:60], result["exceptionDetails"]))
        return result["result"].get("value")

    def wait_for(self, expression, what):
        end = time.monotonic() + PATIENCE_S
        while not self.ask(expression):
            if time.monotonic() > end:
                self.complaints.append("not in time: " + what)
                return
            time.sleep(0.1)

    def key(self, key):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode={"Tab": 9, "ArrowLeft": 37}[key])

    def shoot(self, path):
        height = self.ask("document.documentElement.scrollHeight")
        size = self.call("Page.getLayoutMetrics")["cssLayoutViewport"]
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True,
                            clip={"x": 0, "y": 0, "width": size["clientWidth"], "height": height, "scale": 1})
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture["data"]))


def open_page(browser, url):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log"):
        browser.call(domain + ".enable")
    browser.call("Page.navigate", url=url)


def look(browser, folder, name, width, height, is_mobile, scheme):
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_mobile)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.wait_for("document.querySelectorAll('#failures tbody tr').length > 0", "the page is drawn")
    for complaint in browser.ask(CHECK):
        browser.complaints.append("%s, %s: %s" % (name, scheme, complaint))
    browser.shoot(os.path.join(folder, "%s-%s.png" % (name, scheme)))


def walk(browser):
    browser.ask("document.activeElement.blur(), scrollTo(0, 0)")
    for place in ORDER:
        browser.key("Tab")
        seen = browser.ask(WHERE)
        if seen != place:
            browser.complaints.append("Tab leads to %s, not to %s" % (seen, place))
        if browser.ask("getComputedStyle(document.activeElement).outlineStyle") == "none":
            browser.complaints.append("%s shows no focus" % seen)
    browser.ask("document.getElementById('hour').focus()")
    browser.key("ArrowLeft")
    browser.key("ArrowLeft")
    browser.wait_for("document.querySelector('.legend .when').textContent === '1 minute ago'", "a minute by the arrow keys")
    browser.ask("document.getElementById('hold').focus()")
    browser.ask("document.getElementById('hold').click()")
    browser.wait_for("document.getElementById('hold').getAttribute('aria-pressed') === 'true'", "paused by its button")
    browser.ask("document.getElementById('hold').click()")
    browser.wait_for("document.getElementById('fresh').textContent === 'live'", "goes on by its button")


def refresh(browser):
    drawn = "performance.getEntriesByType('resource').length"
    before = browser.ask(drawn)
    browser.wait_for("%s > %d" % (drawn, before), "it refreshes by itself")


def main():
    url, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        try:
            open_page(browser, url)
            for scheme in ("light", "dark"):
                for size in SIZES:
                    look(browser, folder, *size, scheme)
            walk(browser)
            refresh(browser)
            browser.session = None
            browser.call("Browser.close")
        finally:
            try:
                browser.process.wait(10)
            except subprocess.TimeoutExpired:
                browser.process.kill()
                browser.process.wait()
    for complaint in browser.complaints:
        print(complaint)
    sys.exit(1 if browser.complaints else 0)


main()
