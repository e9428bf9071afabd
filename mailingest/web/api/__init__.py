"""The API for scripts: JSON over HTTP, described by an OpenAPI document.  See docs/http-api.md."""
