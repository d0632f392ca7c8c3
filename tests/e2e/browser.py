"""What the browser tests share: how Chromium is started, and the clicks with which every visit begins."""

import re

from playwright.sync_api import BrowserContext, Locator, Page, expect

CHROMIUM = "/usr/bin/chromium"
# Root needs --no-sandbox; the rest keeps the browser from talking to anyone but the platform.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 20_000

expect.set_options(timeout=PATIENCE_MS)


# What MLflow shows to a newcomer; its assistant offers itself only where the server is this machine.
ASSISTANT, NEWS = "mlflow.assistant.chat_panel.close", "Close alert"


def welcome(context: BrowserContext, address: str, *greetings: str) -> None:
    """Go to MLflow once and put away its greetings."""
    context.set_default_timeout(PATIENCE_MS)
    first = context.new_page()
    first.goto(address)
    first.get_by_text("Model training", exact=True).first.click()
    for greeting in greetings:
        close = first.locator(f'[data-component-id="{greeting}"], [aria-label="{greeting}"]')
        close.click()
        expect(close).to_have_count(0)
    first.close()


def open_artifact(page: Page, address: str, name: str) -> None:
    """Open the artifacts at `address` and choose one in the tree, so that its header is shown."""
    page.goto(f"{address}/artifacts")
    page.get_by_text(name, exact=True).first.click()
    expect(page.get_by_text(re.compile(rf"^(Full )?Path:.*{re.escape(name)}"))).to_be_visible()


def open_console(page: Page, address: str, secrets: dict[str, str]) -> Locator:
    """Log in to MinIO's console as root, and put its licence away; return that."""
    page.goto(address)
    page.locator("#accessKey").fill(secrets["minio_root_user"])
    page.locator("#secretKey").fill(secrets["minio_root_password"])
    page.get_by_role("button", name="Login", exact=True).click()
    licence = page.get_by_role("button", name="Acknowledge")
    page.add_locator_handler(licence, lambda: licence.click())
    return licence
