"""Tests of the program that writes docs/openapi.yaml. tests/local/test_openapi.py tests what the file says."""

import yaml

from ops.openapi import HEADING, SERVERS, TARGET, to_yaml


def test_docs_openapi_yaml_is_as_the_program_writes_it() -> None:
    text = TARGET.read_text()
    assert text == HEADING + to_yaml(yaml.safe_load(text))
    assert yaml.safe_load(text)["servers"] == SERVERS


def test_the_yaml_has_the_same_values_as_the_contract() -> None:
    contract = {
        "paths": {"/sources/b": {"get": {"responses": {"404": {}, "200": {}, "default": {}}}}, "/health": {}},
        "info": {"version": "1", "title": "on: yes", "description": "Two\nlines, and a colon: here.\n"},
        "openapi": "3.1.0",
        "x": [None, True, 1.5, "null", "é", [], {}, ["a", {"b": "c"}]],
    }
    assert yaml.safe_load(to_yaml(contract)) == contract


def test_the_yaml_is_in_block_style_and_in_a_fixed_order() -> None:
    shared = {"$ref": "#/a"}
    contract = {
        "paths": {
            "/backends/x/{proxy}": {"post": {"responses": {"200": shared}, "operationId": "b"}, "get": {"tags": ["t"]}},
            "/items/x": {"get": {"responses": {"200": shared}}},
        },
        "info": {"description": "One line.\nAnother one.\n", "title": "T"},
    }
    assert to_yaml(contract) == (
        "info:\n"
        "  title: T\n"
        "  description: |\n"
        "    One line.\n"
        "    Another one.\n"
        "paths:\n"
        "  /items/x:\n"
        "    get:\n"
        "      responses:\n"
        "        '200':\n"
        "          $ref: '#/a'\n"
        "  /backends/x/{proxy}:\n"
        "    get:\n"
        "      tags:\n"
        "        - t\n"
        "    post:\n"
        "      operationId: b\n"
        "      responses:\n"
        "        '200':\n"
        "          $ref: '#/a'\n"
    )
