"""What people see: MLflow's pages and MinIO's console in a real browser, through the gateway."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import mlflow
import pytest
from mlflow import MlflowClient
from playwright.sync_api import BrowserContext, Locator, Page, expect, sync_playwright

from tests.e2e.browser import ARGUMENTS, ASSISTANT, CHROMIUM, NEWS, open_artifact, open_console, welcome

EXPERIMENT = "iris-classification"
MODEL = "iris-classifier"
ALIAS = "champion"
PLOTS = ["confusion_matrix.png", "feature_importance.png"]


@pytest.fixture(scope="module")
def context(platform: SimpleNamespace) -> Iterator[BrowserContext]:
    """A browser that has been to MLflow once and put away what it shows to a newcomer.

    It is closed with this module: while it runs, no other test in this thread could start an event loop.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        made = browser.new_context(
            viewport={"width": 1280, "height": 800}, locale="en-US", timezone_id="UTC", accept_downloads=True
        )
        welcome(made, platform.mlflow_uri, ASSISTANT, NEWS)
        yield made
        browser.close()


@pytest.fixture
def page(context: BrowserContext, platform: SimpleNamespace, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab of its own; what it shows when the test ends, well or badly, is kept as a picture."""
    tab = context.new_page()
    yield tab
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    tab.screenshot(path=platform.artifacts / f"browser-{name}.png")
    tab.close()


@pytest.fixture(scope="module")
def client(platform: SimpleNamespace) -> MlflowClient:
    """MLflow's own client, which says what the pages have to show."""
    return MlflowClient(platform.mlflow_uri)


def run_address(platform: SimpleNamespace, client: MlflowClient, run_id: str) -> str:
    """Return the address of a run's page."""
    return f"{platform.mlflow_uri}/#/experiments/{client.get_run(run_id).info.experiment_id}/runs/{run_id}"


def loaded_width(image: Locator) -> int:
    """Wait until a picture has been decoded and return its own width, not the box's."""
    expect(image).to_be_visible()
    return int(image.evaluate("async image => { await image.decode(); return image.naturalWidth }"))


def test_ui_shows_experiment_and_run(page: Page, platform: SimpleNamespace, client: MlflowClient, trained: str) -> None:
    """From the first page to the run, by clicking."""
    run = client.get_run(trained)
    page.goto(platform.mlflow_uri)
    page.get_by_test_id("experiment-list-item-link").filter(has_text=EXPERIMENT).click()
    expect(page).to_have_url(re.compile(rf"#/experiments/{run.info.experiment_id}\b"))
    page.locator(f'a[href^="#/experiments/{run.info.experiment_id}/runs"]').first.click()
    link = page.locator(f'a[href$="/runs/{trained}"]').first
    expect(link).to_have_text(run.info.run_name)
    link.click()
    expect(page.get_by_role("heading", name=run.info.run_name)).to_be_visible()
    expect(page.get_by_text("Finished", exact=True)).to_be_visible()


def test_run_shows_metrics(page: Page, platform: SimpleNamespace, client: MlflowClient, trained: str) -> None:
    """The run's page has the numbers that the run logged."""
    metrics = client.get_run(trained).data.metrics
    page.goto(run_address(platform, client, trained))
    for name in ("accuracy", "f1_macro", "log_loss"):
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
        row.scroll_into_view_if_needed()
        shown = re.search(r"\d+\.?\d*", row.inner_text().split(name, 1)[1])
        assert shown, row.inner_text()
        assert float(shown[0]) == pytest.approx(metrics[name], abs=1e-3)


@pytest.mark.parametrize("name", PLOTS)
def test_run_shows_plots(page: Page, platform: SimpleNamespace, client: MlflowClient, trained: str, name: str) -> None:
    """A plot is seen, not only listed: its bytes came from the object store and are a picture."""
    open_artifact(page, run_address(platform, client, trained), name)
    assert loaded_width(page.get_by_role("img", name=name)) > 0


@pytest.mark.parametrize(("holder", "name"), [("run", PLOTS[0]), ("model", "requirements.txt")])
def test_download_is_what_the_client_gets(
    page: Page,
    platform: SimpleNamespace,
    client: MlflowClient,
    trained: str,
    tmp_path: Path,
    holder: str,
    name: str,
) -> None:
    """The download button saves the artifact's own bytes, and asks nobody but the gateway for them.

    Without the gateway's correction the page is sent to the S3 endpoint by a name that only containers know.
    """
    run = client.get_run(trained)
    version = client.get_model_version_by_alias(MODEL, ALIAS)
    model = client.get_logged_model(str(version.source).removeprefix("models:/"))
    address, location = {
        "run": (run_address(platform, client, trained), run.info.artifact_uri),
        "model": (
            f"{platform.mlflow_uri}/#/experiments/{run.info.experiment_id}/models/{model.model_id}",
            model.artifact_location,
        ),
    }[holder]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_artifact(page, address, name)
    with page.expect_download() as started:
        page.locator('button[data-component-id*="artifactview.tsx"]').click()  # it has no accessible name
    saved = tmp_path / "browser"
    started.value.save_as(saved)
    expected = mlflow.artifacts.download_artifacts(
        f"{location}/{name}", dst_path=str(tmp_path / "client"), tracking_uri=platform.mlflow_uri
    )
    assert started.value.suggested_filename == name
    assert saved.read_bytes() == Path(expected).read_bytes()
    gateway = urlsplit(platform.mlflow_uri).netloc
    assert {urlsplit(url).netloc for url in asked if url.startswith("http")} == {gateway}


@pytest.mark.usefixtures("trained")
def test_registered_model_shows_version_and_alias(page: Page, platform: SimpleNamespace, client: MlflowClient) -> None:
    """The model's page names the version that the alias stands for, and the version's page names the alias."""
    version = client.get_model_version_by_alias(MODEL, ALIAS).version
    page.goto(f"{platform.mlflow_uri}/#/models/{MODEL}/versions/{version}")
    expect(page.get_by_role("heading", name=f"Version {version}")).to_be_visible()
    expect(page.get_by_role("status", name=ALIAS, exact=True)).to_be_visible()
    page.get_by_test_id("breadcrumbRegisteredModel").click()
    expect(page.get_by_role("heading", name=MODEL)).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"Version {version}", exact=True))
    expect(row.get_by_role("status", name=ALIAS, exact=True)).to_be_visible()


@pytest.mark.usefixtures("trained")
def test_console_shows_bucket(page: Page, platform: SimpleNamespace) -> None:
    """MinIO's console lets root in and shows MLflow's bucket."""
    licence = open_console(page, platform.console_uri, platform.secrets)
    page.get_by_role("button", name="mlflow", exact=True).click()
    expect(page).to_have_url(f"{platform.console_uri}/browser/mlflow")
    expect(page.get_by_role("link", name="mlflow", exact=True)).to_be_visible()
    expect(page.get_by_text("PRIVATE").first).to_be_visible()
    expect(page.get_by_text("Last Modified", exact=True)).to_be_visible()
    expect(page.get_by_text("Loading...")).to_have_count(0)
    expect(licence).to_be_hidden()
