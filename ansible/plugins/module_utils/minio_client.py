"""What minio_store's parts share: arguments, clients that give up soon, errors that name their fix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import certifi
    import urllib3
    from minio import Minio, MinioAdmin
    from minio.credentials import StaticProvider
    from minio.error import InvalidResponseError, MinioAdminException, S3Error, ServerError

    MISSING = ""
except ImportError as error:
    MISSING = str(error)

# Given, so that the client does not ask for it before every first request to a bucket.
REGION = "us-east-1"

CONNECTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "endpoint": {"type": "str", "required": True},
    "access_key": {"type": "str", "required": True},
    "secret_key": {"type": "str", "required": True, "no_log": True},
    "secure": {"type": "bool", "default": False},
    "ca_file": {"type": "path"},
}

FIXES = {
    "AccessDenied": "give access_key the rights of the server's root user",
    "InvalidAccessKeyId": "access_key is unknown to this server or disabled: use the server's root user",
    "SignatureDoesNotMatch": "secret_key does not belong to access_key: compare both with the server's own settings",
    "RequestTimeTooSkewed": "the clocks of this host and of the server differ: set them",
    "AuthorizationHeaderMalformed": f"the server is in another region: start it in {REGION}",
    "XMinioMalformedIAMPolicy": "correct the document; one statement holds either s3: or admin: actions, never both",
    "XMinioAdminNoSuchPolicy": "name the policy under policies as well",
    "XMinioIAMPolicyInUse": "take the policy from its users first",
    "XMinioAdminInvalidAccessKey": "use an access key of 3 to 20 characters",
    "XMinioAdminInvalidSecretKey": "use a secret of 8 to 40 characters",
    "XMinioInvalidIAMCredentials": "choose another name than the server's root user",
    "XMinioStorageFull": "free space on the server's disk",
    "InvalidBucketState": "a bucket with object lock is always versioned: leave its versioning enabled",
    "XMinioServerNotInitialized": "the server is still starting: wait until it is healthy and try again",
}


def connect(module: AnsibleModule) -> Minio:
    """The S3 client of the given credentials."""
    if MISSING:
        module.fail_json(msg=f"{missing_required_lib('minio')} ({MISSING})")
    options = module.params
    return s3_client(module, options["access_key"], options["secret_key"])


def s3_client(module: AnsibleModule, access_key: str, secret_key: str) -> Minio:
    options = module.params
    return Minio(
        options["endpoint"],
        access_key,
        secret_key,
        secure=options["secure"],
        region=REGION,
        http_client=_http_client(options["ca_file"]),
    )


def connect_admin(module: AnsibleModule) -> MinioAdmin:
    """The client of the server's own API: policies and users."""
    if MISSING:
        module.fail_json(msg=f"{missing_required_lib('minio')} ({MISSING})")
    options = module.params
    return MinioAdmin(
        endpoint=options["endpoint"],
        credentials=StaticProvider(options["access_key"], options["secret_key"]),
        secure=options["secure"],
        region=REGION,
        http_client=_http_client(options["ca_file"]),
    )


def _http_client(ca_file: str | None) -> urllib3.PoolManager:
    # The client's own one tries for many minutes. Here a server that does not answer within seconds is an error.
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=5, read=30),
        cert_reqs="CERT_REQUIRED",
        ca_certs=ca_file or certifi.where(),
        retries=urllib3.Retry(
            total=3, backoff_factor=0.3, status_forcelist=[502, 503, 504], raise_on_status=False, allowed_methods=None
        ),
    )


def admin_code(error: MinioAdminException) -> tuple[str, str]:
    """Code and message of an admin error; the client knows only the status and the raw body."""
    try:
        body = json.loads(error._body)
        return body["Code"], body["Message"]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error._code}", str(error._body).strip()


@contextmanager
def failing_with_a_fix(module: AnsibleModule, doing: str) -> Iterator[None]:
    """Turn what the client raises into one sentence: what failed, where, why, and what to do."""
    endpoint = module.params["endpoint"]
    try:
        yield
    except S3Error as error:
        code, message = error.code or "unknown", error.message or ""
    except MinioAdminException as error:
        code, message = admin_code(error)
    except (ServerError, InvalidResponseError) as error:
        code, message = "no S3 answer", f"{error}; is {endpoint} MinIO's S3 port, and not its console?"
    except urllib3.exceptions.HTTPError as error:
        code, message = "no connection", f"{error}; start the server, or correct endpoint, secure and ca_file"
    except OSError as error:
        code, message = "no connection", f"{error}; correct ca_file"
    except ValueError as error:
        code, message = "invalid value", str(error)
    else:
        return
    fix = f" To fix it: {FIXES[code]}." if code in FIXES else ""
    module.fail_json(msg=f"{doing} at {endpoint} failed: {code}: {message.rstrip('.')}.{fix}", code=code)
