"""What a user of MLflow sees in a browser, over https and with a login."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Error, HttpCredentials, Page, expect, sync_playwright

from tests.e2e.browser import ARGUMENTS, CHROMIUM, NEWS, open_artifact, open_console, welcome
from tests.e2e.conftest import launch
from tests.e2e.network.conftest import Network

API = "/api/2.0/mlflow"


@pytest.fixture(scope="module")
def run_id(network: Network) -> str:
    """A run to look at."""
    done = launch("train", network.connection, "--n-estimators", "10", "--cv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("/runs/", 1)[1].split()[0]


@pytest.fixture(scope="module")
def context(network: Network) -> Iterator[BrowserContext]:
    """A browser of `writer`, who has told it to trust this host; that the CA's certificate fits, others show."""
    login = HttpCredentials(username="writer", password=network.password("writer"), origin=network.mlflow_uri)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        made = browser.new_context(
            viewport={"width": 1280, "height": 800},
            locale="en-US",
            timezone_id="UTC",
            ignore_https_errors=True,
            http_credentials=login,
        )
        welcome(made, network.mlflow_uri, NEWS)
        yield made
        browser.close()


@pytest.fixture
def page(context: BrowserContext, network: Network, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab of its own; what it shows when the test ends is kept as a picture."""
    tab = context.new_page()
    yield tab
    tab.screenshot(path=network.artifacts / f"{request.node.name.removeprefix('test_').replace('_', '-')}.png")
    tab.close()


def test_a_user_finds_its_run_and_downloads_an_artifact(
    page: Page, network: Network, run_id: str, tmp_path: Path
) -> None:
    run = network.ask("writer", "GET", f"{API}/runs/get?run_id={run_id}").json()["run"]["info"]
    page.goto(network.mlflow_uri)
    page.get_by_test_id("experiment-list-item-link").filter(has_text="iris-classification").click()
    address = f"{network.mlflow_uri}/#/experiments/{run['experiment_id']}/runs/{run_id}"
    page.goto(address)
    expect(page.get_by_role("heading", name=run["run_name"])).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_artifact(page, address, "confusion_matrix.png")
    with page.expect_download() as started:
        page.locator('button[data-component-id*="artifactview.tsx"]').click()
    saved = tmp_path / "browser.png"
    started.value.save_as(saved)
    assert saved.read_bytes().startswith(b"\x89PNG")
    assert {urlsplit(url).netloc for url in asked if url.startswith("http")} == {urlsplit(network.mlflow_uri).netloc}


@pytest.fixture
def stranger(context: BrowserContext) -> Iterator[Page]:
    """A tab of somebody who has not logged in anywhere."""
    assert context.browser
    made = context.browser.new_context(ignore_https_errors=True)
    yield made.new_page()
    made.close()


def test_a_page_without_a_login_shows_nothing(network: Network, stranger: Page) -> None:
    with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
        stranger.goto(network.mlflow_uri)


def test_the_console_lets_root_in_over_https(page: Page, network: Network) -> None:
    open_console(page, network.console_uri, network.secrets)
    page.get_by_role("button", name="mlflow", exact=True).click()
    expect(page).to_have_url(f"{network.console_uri}/browser/mlflow")
    expect(page.get_by_text("PRIVATE").first).to_be_visible()


def test_the_console_turns_a_wrong_password_away(network: Network, stranger: Page) -> None:
    with stranger.expect_response(lambda answer: answer.request.method == "POST") as answer:
        open_console(stranger, network.console_uri, network.secrets | {"minio_root_password": "a wrong one"})
    assert answer.value.status == 401
    expect(stranger.locator("#accessKey")).to_be_visible()
