"""What makes a test server want TLS and a login, and who may do what there."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.servers.certificates import Certificates

PASSWORD = "correct-horse-battery"
_BCRYPT = "$2a$04$abcdefghijklmnopqrstuupOWRSKKNe562z1DsLEArFuJDHVyRIMa"

ADMIN = "admin"
"""May do everything."""

WRITER = "writer"
"""May do what the README says that mailingest needs, and nothing else."""

GUEST = "guest"
"""May log in."""

JWT_KEY = b"a key of the tests, of 256 bits or more, for HMAC-SHA-256"


def secure_elasticsearch(
    config: Path, certificates: Certificates, *, client_certificate: bool
) -> Mapping[str, str]:
    """Write the files of users and roles; gives the settings to add."""
    names = (ADMIN, WRITER, GUEST)
    (config / "users").write_text("".join(f"{name}:{_BCRYPT}\n" for name in names))
    (config / "users_roles").write_text(f"superuser:{ADMIN}\nwriter:{WRITER}\nguest:{GUEST}\n")
    roles = {
        "writer": {
            "cluster": ["monitor", "manage_index_templates"],
            "indices": [{"names": ["mail-*"], "privileges": ["create_doc", "create_index"]}],
        },
        "guest": {"cluster": []},
    }
    (config / "roles.yml").write_text(json.dumps(roles))
    tls = "xpack.security.http.ssl"
    return {
        "xpack.security.enabled": "true",
        # Tokens are not in the basic licence.
        "xpack.license.self_generated.type": "trial",
        "xpack.security.authc.realms.file.file1.order": "0",
        "xpack.security.authc.api_key.enabled": "true",
        "xpack.security.authc.token.enabled": "true",
        f"{tls}.enabled": "true",
        f"{tls}.certificate": str(certificates.chain(certificates.server)),
        f"{tls}.key": str(certificates.server.with_suffix(".key")),
        f"{tls}.certificate_authorities": str(certificates.authority),
        f"{tls}.client_authentication": "required" if client_certificate else "optional",
    }


def secure_opensearch(
    config: Path, certificates: Certificates, *, client_certificate: bool
) -> Mapping[str, str]:
    """Write the files that the security index is made from; gives the settings to add."""
    basic = {
        "http_enabled": True,
        "order": 1,
        "http_authenticator": {"type": "basic", "challenge": False},
        "authentication_backend": {"type": "intern"},
    }
    jwt = {
        "http_enabled": True,
        "order": 0,
        "http_authenticator": {
            "type": "jwt",
            "challenge": False,
            "config": {"signing_key": base64.b64encode(JWT_KEY).decode()},
        },
        "authentication_backend": {"type": "noop"},
    }
    files: dict[str, Any] = {
        "config": {"config": {"dynamic": {"authc": {"jwt": jwt, "basic": basic}}}},
        "internal_users": {
            ADMIN: {"hash": _BCRYPT, "backend_roles": ["admin"]},
            WRITER: {"hash": _BCRYPT},
            GUEST: {"hash": _BCRYPT},
        },
        "roles": {
            "writer": {
                "cluster_permissions": [
                    "cluster_monitor",
                    "cluster_manage_index_templates",
                    "indices:data/write/bulk",
                ],
                "index_permissions": [
                    {"index_patterns": ["mail-*"], "allowed_actions": ["write", "create_index"]}
                ],
            }
        },
        "roles_mapping": {
            "all_access": {"backend_roles": ["admin"]},
            "writer": {"users": [WRITER]},
        },
        "action_groups": {},
        "tenants": {},
        "nodes_dn": {},
        "whitelist": {"config": {"enabled": False}},
        "allowlist": {"config": {"enabled": False}},
        "audit": {"config": {"enabled": False}},
    }
    directory = config / "opensearch-security"
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        kind = {
            "internal_users": "internalusers",
            "roles_mapping": "rolesmapping",
            "action_groups": "actiongroups",
            "nodes_dn": "nodesdn",
        }.get(name, name)
        meta = {"_meta": {"type": kind, "config_version": 2}}
        # JSON is YAML.
        (directory / f"{name}.yml").write_text(json.dumps(meta | content))
    settings = {
        "plugins.security.allow_default_init_securityindex": "true",
        "plugins.security.authcz.admin_dn": '["CN=authority"]',
        "plugins.security.nodes_dn": '["CN=server"]',
        "plugins.security.restapi.roles_enabled": '["all_access", "security_rest_api_access"]',
        "plugins.security.ssl.http.enabled": "true",
        "plugins.security.ssl.http.clientauth_mode": "REQUIRE"
        if client_certificate
        else "OPTIONAL",
        "plugins.security.ssl.transport.enforce_hostname_verification": "false",
    }
    for layer in ("transport", "http"):
        pem = f"plugins.security.ssl.{layer}.pem"
        settings |= {
            f"{pem}cert_filepath": str(certificates.chain(certificates.server)),
            f"{pem}key_filepath": str(certificates.server.with_suffix(".key")),
            f"{pem}trustedcas_filepath": str(certificates.authority),
        }
    return settings


def web_token(user: str) -> str:
    """A JWT that the secured OpenSearch takes."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": user}]
    signed = b".".join(_base64url(json.dumps(part).encode()) for part in parts)
    signature = hmac.digest(JWT_KEY, signed, hashlib.sha256)
    return b".".join((signed, _base64url(signature))).decode()


def _base64url(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")
