"""`make picture`: the console's first page as README shows it, over made-up accounts."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

from ops.programs import ensure
from tests.contract.console.conftest import LOOPBACK, running
from worker.settings.console import ConsoleSettings

PICTURE = Path(__file__).parents[3] / "ops" / "docs" / "console.png"
SIZE: ViewportSize = {"width": 1100, "height": 660}


def main() -> None:
    """Take the picture."""
    with (
        running(ConsoleSettings(("127.0.0.1", 0), LOOPBACK)) as console,
        sync_playwright() as playwright,
    ):
        path = ensure("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, locale="en-GB", timezone_id="Asia/Shanghai")
        page.goto(f"{console.url}/sign-in?code={console.access.code}")
        page.click("main button.main")
        page.wait_for_url(f"{console.url}/")
        page.reload()
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
