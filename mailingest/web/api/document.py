"""The OpenAPI document of the API (OpenAPI 3.1), made of the models; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from mailingest import __version__
from mailingest.web.api.models import Problem
from mailingest.web.problems import PROBLEM

_REF: Final = "#/components/schemas/{model}"
_ERRORS: Final[Mapping[int, str]] = {
    400: "A parameter is wrong; `detail` says which one and why.",
    401: "No login and no token, or a wrong one.",
    403: "Not allowed: a proxy that names no user, or a page of another website.",
    421: "The request is for a name that this server is not reached under.",
    429: "Too many questions, or wrong tokens, in a minute.",
    503: "The store cannot be asked, or of what could be read nothing is in the answer: `why`.",
    504: "Nothing was found before the time was over: ask for less time.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """A path of the API, the models of its query and its answer, and what a 404 means."""

    path: str
    name: str
    summary: str
    query: type[BaseModel]
    answer: type[BaseModel]
    missing: str = ""


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document of these operations."""
    models: list[type[BaseModel]] = [*(one.answer for one in operations), Problem]
    named: list[tuple[type[BaseModel], Literal["serialization"]]] = [
        (model, "serialization") for model in models
    ]
    _, schema = models_json_schema(named, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mailingest",
            "version": __version__,
            "description": "What became of mails, and how much of what happened. Read-only.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"password": []}, {}],
        "paths": {one.path: {"get": _operation(one)} for one in operations},
        "components": {
            "schemas": schema.get("$defs", {}),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "made by `mailingest web-token create NAME`",
                },
                "password": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    errors = {**_ERRORS, **({404: operation.missing} if operation.missing else {})}
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": list(_parameters(operation.query)),
        "responses": {
            "200": _response(HTTPStatus.OK.phrase, operation.answer, "application/json"),
            **{
                str(status): _response(text, Problem, PROBLEM)
                for status, text in sorted(errors.items())
            },
        },
    }


def _parameters(query: type[BaseModel]) -> Sequence[dict[str, Any]]:
    schema = query.model_json_schema(by_alias=True)
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": values.pop("description", ""),
            "schema": _without_null(values),
        }
        for name, values in schema["properties"].items()
    ]


def _without_null(values: dict[str, Any]) -> dict[str, Any]:
    """A query has no null: what is optional is left out."""
    kept = {key: value for key, value in values.items() if key not in ("title", "anyOf")}
    for one in values.get("anyOf", ()):
        if one.get("type") != "null":
            kept |= one
    if kept.get("default", "") is None:
        del kept["default"]
    return kept


def _response(text: str, model: type[BaseModel], content_type: str) -> dict[str, Any]:
    reference = {"$ref": _REF.format(model=model.__name__)}
    return {"description": text, "content": {content_type: {"schema": reference}}}
