"""The filter `registry_error`: says what a registry's refusal means and what to do about it."""

import re

MEANINGS = {
    r"x509|failed to verify certificate": "its certificate is signed by a CA this host does not know."
    " -> Set platform_image_registry_ca to that CA's certificate, a file on the controller.",
    r"HTTP response to HTTPS client": "it speaks plain HTTP, and passwords and images travel by TLS only."
    " -> Give the registry a certificate.",
    r"manifest unknown|not found": "it does not have this image under this digest."
    " -> Fill it with `make push`, or bring digests.json back from the controller that pushed.",
    r"unauthorized|no basic auth|denied|authentication required": "it refuses the login."
    " -> Correct platform_image_registry_user and platform_image_registry_password.",
    r"refused|no such host|timeout|unreachable|no route|deadline": "it does not answer."
    " -> Start it, correct platform_image_registry, or use a bundle (make provision BUNDLE=file).",
}


def registry_error(said: str, registry: str) -> str:
    """Return what is wrong with `registry`, what to do, and the engine's own last words."""
    words = said.strip().splitlines() or ["the engine did not say why"]
    meaning = next(
        (text for pattern, text in MEANINGS.items() if re.search(pattern, said, re.IGNORECASE)),
        "it cannot be used. -> Read what the engine says of it.",
    )
    return f"The registry {registry}: {meaning} ({words[-1]})"


class FilterModule:
    """Ansible's entry to the filter."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"registry_error": registry_error}
