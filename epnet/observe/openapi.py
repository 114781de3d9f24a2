"""The description of the HTTP interface for programs (OpenAPI 3.1), made from its calls."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Final, Union, get_args, get_origin, get_type_hints, is_typeddict

from twisted.web import http

from epnet.observe.calls import Call
from epnet.observe.fields import DEVICE, Field
from epnet.observe.resources import JSON

ERROR: Final = {
    "type": "object",
    "required": ["error", "status"],
    "properties": {"error": {"type": "string"}, "status": {"type": "integer"}},
}

PLAIN: Final = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    types.NoneType: "null",
}

USUAL: Final = {
    http.BAD_REQUEST: "The request is malformed, or a field of it is; the error says which.",
    http.UNAUTHORIZED: "A token is needed.",
    http.FORBIDDEN: "The Host or Origin header is not one of ours.",
    http.NOT_ALLOWED: "The method is another one.",
    http.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
}
OF_CHANGES: Final = {http.UNSUPPORTED_MEDIA_TYPE: "The body is not said to be JSON."}


def describe(calls: Sequence[Call], version: str) -> dict[str, Any]:
    """The description of these calls.

    version: of the program.
    """
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "epnet energy router", "version": version},
        "security": [{}, {"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "schemas": {"Error": ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def schemaOf(hint: Any) -> dict[str, Any]:
    """A type as JSON Schema: a TypedDict, a list, a dict, a union, a plain type, Any."""
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    if is_typeddict(hint):
        fields = get_type_hints(hint)
        return {
            "type": "object",
            "required": list(fields),
            "properties": {name: schemaOf(of) for name, of in fields.items()},
        }
    origin, inner = get_origin(hint), get_args(hint)
    if origin is list:
        return {"type": "array", "items": schemaOf(inner[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schemaOf(inner[1])}
    if origin in (Union, types.UnionType):
        return {"anyOf": [schemaOf(each) for each in inner]}
    if hint is Any:
        return {}
    raise TypeError(f"{hint!r} has no JSON Schema here")


def _operation(call: Call) -> dict[str, Any]:
    good = {mediaType: {"schema": schema} for mediaType, schema in call.answers.items()}
    answers: dict[str, Any] = {"200": {"description": call.text, "content": good}}
    failures = {**USUAL, **(OF_CHANGES if call.changes else {}), **call.failures}
    for code, text in sorted(failures.items()):
        error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
        answers[str(code)] = {"description": text, "content": error}
    operation: dict[str, Any] = {
        "operationId": call.name,
        "summary": call.text,
        "responses": answers,
    }
    parameters = [] if call.changes else [_parameter(field) for field in call.fields]
    if "{device}" in call.path:
        text = "The identity of the device."
        parameters.append(_inPath("device", text, DEVICE.schema()))
    if parameters:
        operation["parameters"] = parameters
    if call.changes:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _body(call)}}}
    return operation


def _body(call: Call) -> Mapping[str, Any]:
    return {
        "type": "object",
        "required": [field.name for field in call.fields if field.required],
        "properties": {
            field.name: {**field.kind.schema(), "description": field.text} for field in call.fields
        },
        "additionalProperties": False,
    }


def _parameter(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "in": "query",
        "description": field.text,
        "required": field.required,
        "schema": field.kind.schema(),
    }


def _inPath(name: str, text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "description": text, "required": True, "schema": schema}
